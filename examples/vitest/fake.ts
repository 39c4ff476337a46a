// Functions that call the admin API of the fake.
import { inject } from "vitest";

export const url = inject("fakeUrl");

async function call(method: string, path: string, body: unknown = {}) {
  const response = await fetch(`${url}/_fake/${path}`, {
    method,
    headers: { "Content-Type": "application/json" },
    body: method === "GET" ? undefined : JSON.stringify(body),
  });
  const json = await response.json();
  if (!response.ok) throw new Error(json.error.message);
  return json;
}

export const fake = {
  addCustomer: (customer: object) => call("POST", "customers", customer),
  addFault: (fault: object) => call("POST", "faults", fault),
  advanceClock: (seconds: number) => call("POST", "clock", { advance: seconds }),
  changeSettings: (settings: object) => call("PATCH", "settings", settings),
  requests: () => call("GET", "requests"),
  reset: () => call("POST", "reset"),
};
