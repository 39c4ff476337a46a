import { defineConfig } from "vitest/config";

export default defineConfig({ test: { globalSetup: "./fake-server.ts", fileParallelism: false } });
