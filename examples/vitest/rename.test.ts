import { Dub } from "dub";
import { NotFound } from "dub/models/errors";
import { afterEach, expect, test } from "vitest";
import { fake, url } from "./fake";
import { rename } from "./rename";

const dub = new Dub({ token: "dub_test", serverURL: url });

afterEach(() => fake.reset());

test("rename with a lost response looks the customer up", async () => {
  await fake.addCustomer({ externalId: "ada", name: "Ada", country: "GB" });
  expect((await dub.customers.get({ id: "ext_ada" })).name).toBe("Ada");

  // The next PATCH is applied, then the connection drops.
  await fake.addFault({ fault: "DropAfter", method: "PATCH" });
  await rename(dub, "ada", "Ada Lovelace");

  const requests = await fake.requests();
  expect(requests.map((request: any) => [request.method, request.status])).toEqual([
    ["GET", 200],
    ["PATCH", null],
    ["GET", 200],
  ]);
  expect(requests[1].fault).toEqual({ fault: "DropAfter" });
});

test("rename that is not applied throws the error", async () => {
  await fake.addCustomer({ externalId: "ada", name: "Ada", country: "GB" });
  await fake.addFault({ fault: "Status", code: 503, method: "PATCH" });
  await expect(rename(dub, "ada", "Grace")).rejects.toMatchObject({ statusCode: 503 });
});

test("the reset after each test removes customers and faults", async () => {
  await expect(dub.customers.get({ id: "ext_ada" })).rejects.toBeInstanceOf(NotFound);
});

test("a rate limit expires after its window", async () => {
  await fake.changeSettings({ rateLimit: 1 });
  await dub.customers.list({});
  await expect(dub.customers.list({})).rejects.toMatchObject({ statusCode: 429 });
  await fake.advanceClock(60);
  await dub.customers.list({});
});
