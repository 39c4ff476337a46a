// The code under test: rename a customer. After an error, check whether the rename was applied.
import { Dub } from "dub";

export async function rename(dub: Dub, externalId: string, name: string): Promise<string> {
  const id = `ext_${externalId}`;
  try {
    await dub.customers.update({ id, requestBody: { name } });
  } catch (error) {
    const customer = await dub.customers.get({ id });
    if (customer.name !== name) throw error;
  }
  return id;
}
