// What a program on the official TypeScript SDK does; prints what it saw as JSON.
import { Dub } from "dub";
import * as errors from "dub/models/errors";

const serverURL = process.argv[2];
const { customers } = new Dub({ token: "dub_test", serverURL });
const seen = {};
const ids = (page) => page.result.map((customer) => customer.externalId);

async function failure(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded");
}

const got = await customers.get({ id: "ext_user_3", includeExpandedFields: true });
seen.get = [got.externalId, got.name, got.saleAmount, got.partner.name];

seen.iterated = [];
for await (const page of await customers.list({ pageSize: 2 })) seen.iterated.push(...ids(page));
seen.pages = [];
for (const page of [1, 2, 3]) seen.pages.push(ids(await customers.list({ page, pageSize: 2 })));
seen.cursor = ids(await customers.list({ startingAfter: got.id, country: "GB" }));

const updated = await customers.update({ id: got.id, requestBody: { name: "Grace" } });
seen.update = [updated.name, updated.country];
const other = { id: "ext_user_1", requestBody: { externalId: "user_2" } };
const conflict = await failure(() => customers.update(other));
seen.conflict = [conflict.constructor.name, conflict.statusCode, conflict.error.message];
const wrong = { id: "ext_user_1", requestBody: { email: "nobody" } };
const invalid = await failure(() => customers.update(wrong));
seen.invalid = [invalid.constructor.name, invalid.statusCode, invalid.error.message];

seen.delete = (await customers.delete("ext_user_3")).id === got.id;
const missing = await failure(() => customers.get({ id: "ext_user_3" }));
if (!(missing instanceof errors.NotFound)) throw missing;
seen["not found"] = [missing.constructor.name, missing.statusCode, missing.error.code];
const cursor = await failure(() => customers.list({ startingAfter: got.id }));
seen["deleted cursor"] = cursor.error.message;
const unknown = new Dub({ token: "dub_wrong", serverURL });
const denied = await failure(() => unknown.customers.list({}));
seen["wrong key"] = [denied.constructor.name, denied.statusCode, denied.error.message];

console.log(JSON.stringify(seen));
