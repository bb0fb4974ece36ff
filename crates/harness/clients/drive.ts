// Drives a real machine through openapi-fetch and the types that openapi-typescript generated.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const client = createClient<paths>({
  baseUrl: process.env.HOST_URL,
  headers: { authorization: `Bearer ${process.env.HOST_TOKEN}` },
});
const path = { machine_id: process.argv[2]! };

const shown = await client.GET("/machines/{machine_id}", { params: { path } });
assert.equal(shown.data?.machine.phase, "running");

const ran = await client.POST("/machines/{machine_id}/exec", {
  params: { path },
  body: { command: ["sh", "-c", "echo out; exit 3"], user: "root", cwd: "/" },
});
assert.equal(ran.data?.exit_code, 3);
assert.equal(ran.data?.stdout, "out\n");

const written = await client.POST("/machines/{machine_id}/files/ops", {
  params: { path, header: { "Idempotency-Key": "by-typescript" } },
  body: { operation: "write_text", path: "typescript.txt", content: "written by TypeScript" },
});
assert.ok(written.data, JSON.stringify(written.error));
const read = await client.POST("/machines/{machine_id}/files/ops", {
  params: { path },
  body: { operation: "read_text", path: "typescript.txt" },
});
assert.equal(read.data?.content, "written by TypeScript");

const missing = await client.GET("/machines/{machine_id}", { params: { path: { machine_id: "none" } } });
assert.equal(missing.error?.code, "not_found");
console.log("driven by TypeScript");
