// Starts `dub-uplink serve` before the tests and stops it after them.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    fakeUrl: string;
  }
}

export default async function setup(project: TestProject) {
  const server = spawn("dub-uplink", ["serve", "--port", "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await new Promise<string>((resolve, reject) => {
    server.once("error", reject);
    server.once("exit", () => reject(new Error("dub-uplink serve ended early")));
    createInterface(server.stdout).on("line", (line) => {
      const found = /(http:\/\/\S+)\/_fake\//.exec(line);
      if (found) resolve(found[1]);
    });
  });
  project.provide("fakeUrl", url);
  return () => {
    server.kill("SIGTERM");
  };
}
