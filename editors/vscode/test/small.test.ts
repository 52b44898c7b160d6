import assert from "node:assert/strict";
import { test } from "node:test";
import { explainPage, label, MARK } from "../src/explainPage";
import { confined } from "../src/html";
import { JsonLines } from "../src/jsonLines";
import { nested } from "../src/options";
import { protocolOf } from "../src/protocol";
import { Restarts } from "../src/restarts";
import { badge, details, prospect, summarise, type Situation } from "../src/status";

test("settings get the server's names and shape", () => {
  assert.deepEqual(nested({ "completion.maxLines": 4, "engine.kvStoreMib": 0, "acceptanceLog.enabled": false, "completion.mode": "quiet" }), {
    completion: { max_lines: 4, mode: "quiet" }, engine: { kv_store_mib: 0 }, acceptance_log: { enabled: false },
  });
});

test("a server that dies is started again three times in three minutes, each later", () => {
  const restarts = new Restarts();
  assert.deepEqual([0, 1, 2, 3].map((second) => restarts.nextWaitMs(1000 * second)), [500, 2000, 8000, undefined]);
  assert.equal(restarts.nextWaitMs(200_000), 500);
  restarts.forget();
  assert.equal(restarts.nextWaitMs(200_001), 500);
});

test("JSON comes line by line, however it is cut, and what is no object is left out", () => {
  const got: unknown[] = [];
  const lines = new JsonLines((value) => got.push(value));
  for (const piece of ['{"a":', '1}\nnoise\n[1]\n', '{"b":2}\n{"c"', ":3}"]) lines.push(piece);
  lines.end();
  assert.deepEqual(got, [{ a: 1 }, { b: 2 }, { c: 3 }]);
});

test("the protocol's number is read from what the server says of itself", () => {
  assert.equal(protocolOf({ midfill: { protocol: 1 } }), 1);
  for (const other of [undefined, null, {}, { midfill: {} }, { midfill: { protocol: "1" } }]) assert.equal(protocolOf(other), 0);
});

const READY: Situation = {
  state: "running", problem: "", notice: { kind: "Normal", message: "", busy: false }, status: undefined,
  isSnoozed: false, snoozeEnd: "", languageId: "python", isLanguageEnabled: true, isTrusted: true,
};
const STATUS = {
  kind: "Normal", message: "", busy: false, version: "1", model: { id: "m" }, paused: false, lastLatencyMs: 123.4,
  today: { shown: 8, accepted: 2, rate: 0.25 }, reason: null,
} as const;

test("the state that matters most is told", () => {
  const headline = (change: Partial<Situation>) => summarise({ ...READY, ...change }).headline;
  assert.equal(headline({}), "Ready");
  assert.equal(headline({ state: "missing", problem: "Not there" }), "Not there");
  assert.equal(headline({ isLanguageEnabled: false }), "Off for python");
  assert.equal(headline({ isSnoozed: true, snoozeEnd: "10:05", isLanguageEnabled: false }), "Snoozed until 10:05");
  assert.equal(headline({ notice: { kind: "Error", message: "No model", busy: false }, isSnoozed: true }), "No model");
  assert.equal(headline({ status: { ...STATUS, paused: true } }), "Paused in all editors");
  assert.equal(summarise({ ...READY, notice: { kind: "Normal", message: "Loading", busy: true } }).icon, "loading~spin");
});

test("model, latency and acceptance are told where they are known", () => {
  const now = { ...READY, status: STATUS };
  assert.deepEqual(details(now), ["Model: m", "Last suggestion after 123 ms", "Today: 2 of 8 accepted (25 %)"]);
  assert.equal(badge(now), "midfill 25 %");
  assert.equal(badge(READY), "midfill");
  assert.equal(details({ ...now, status: { ...STATUS, today: null } }).at(-1), "Nothing is recorded: the acceptance log is off");
  assert.deepEqual(details({ ...now, state: "broken" }), []);
});

test("it is told that a workspace is not trusted, with an old server too", () => {
  assert.match(details({ ...READY, isTrusted: false }).join(), /^Restricted: /);
  assert.deepEqual(details(READY), []);
});

test("no script runs in a page and nothing is loaded by it", () => {
  for (const page of ["<html><head><title>x</title></head><body></body></html>", "<p>x</p>"]) {
    const html = confined(page, "b{}");
    assert.match(html, /<head><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'/);
    assert.match(html, /<style>b\{\}<\/style><\/head>/);
  }
});

test("the explanation shows each snippet with its origin, and source text cannot become markup", () => {
  const snippet = { path: "b.py", startByte: 0, endByte: 9, text: "<script>", origin: "similar_window", score: 0.5 };
  const html = explainPage(
    { id: "1", reason: null, message: "", text: "a < b", snippets: [snippet], dropped: [{ ...snippet, path: "c.py", reason: "no_room" }] },
    { pinned: ["file:///b.py"], banned: [] },
    (path) => ({ name: path, uri: `file:///${path}` }),
  );
  assert.match(html, /similar window · score 0\.500 · 9 bytes/);
  assert.match(html, /no_room/);
  assert.ok(!html.includes("<script>"));
  const command = `command:${MARK}?${encodeURIComponent('["unpin","file:///b.py"]')}`;
  assert.ok(html.includes(`href="${command.replaceAll("'", "&#39;")}"`), html);
});

const NO_LINKS = (path: string) => ({ name: path, uri: undefined });

test("a file that cannot be marked has no links, and the chance of an accept is told", () => {
  const snippet = { path: "a.py", startByte: 0, endByte: 1, text: "x", origin: "before_cursor", score: 1 };
  const html = explainPage({ id: "1", reason: null, message: "", text: "x", p: 0.404, leastP: 0.25, snippets: [snippet] }, { pinned: [], banned: [] }, NO_LINKS);
  assert.ok(!html.includes("command:"));
  assert.match(html, /before the cursor/);
  assert.match(html, /taken with a chance of 40 %, shown from 25 %/);
});

test("a refusal is explained by its reason", () => {
  const html = explainPage({ id: "1", reason: "paused", message: "Completion is paused.", text: "" }, { pinned: [], banned: [] }, NO_LINKS);
  assert.match(html, /<code>paused<\/code>\): Completion is paused\./);
  assert.match(explainPage(null, { pinned: [], banned: [] }, NO_LINKS), /No suggestion was asked for/);
});

test("figures have readable names", () => {
  assert.deepEqual(["ttftMs", "nPrompt", "prefillMs"].map(label), ["ttft, ms", "prompt tokens", "prefill, ms"]);
});

test("a larger model is told with what it costs and gives", () => {
  const told = prospect({ id: "1.5b", sizeBytes: 1_117_320_768, firstLineMs: 519 });
  assert.equal(told, "1.1 GB, better suggestions, a line in about 0.5 s here");
});
