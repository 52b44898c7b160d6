import assert from "node:assert/strict";
import { test } from "node:test";
import type { Item } from "../src/protocol";
import { ShownTracking, type Edit } from "../src/shownTracking";

const URI = "file:///a.py";

function item(id: string, insertText: string): Item {
  return { insertText, command: { title: "", command: "midfill.accepted", arguments: [id] } };
}

/** A tracking whose reports are written down, and whose waits end when `wait` is called. */
function tracked() {
  const told: string[] = [];
  let waiting: (() => void)[] = [];
  const name = (each: Item) => String(each.command?.arguments?.[0]);
  const tracking = new ShownTracking(
    {
      shown: (each) => told.push(`shown ${name(each)}`),
      partiallyAccepted: (each, n) => told.push(`partial ${name(each)} ${n}`),
      dismissed: (each) => told.push(`dismissed ${name(each)}`),
      visible: (isVisible) => told.push(isVisible ? "visible" : "hidden"),
    },
    (_ms, call) => {
      waiting.push(call);
      return () => (waiting = waiting.filter((each) => each !== call));
    },
  );
  const wait = () => waiting.splice(0).forEach((call) => call());
  const insert = (offset: number, text: string): Edit => ({ offset, removed: 0, text });
  return { tracking, told, wait, insert };
}

test("a suggestion is shown once it has stood for a moment", () => {
  const { tracking, told, wait } = tracked();
  tracking.offered(URI, 4, [item("a", "return x")], 0, true);
  assert.deepEqual(told, ["visible"]);
  wait();
  assert.deepEqual(told, ["visible", "shown a"]);
});

test("one that is typed away before that was not shown", () => {
  const { tracking, told, wait, insert } = tracked();
  tracking.offered(URI, 4, [item("a", "return x")], 0, true);
  tracking.edited(URI, [insert(4, "q")]);
  wait();
  assert.deepEqual(told, ["visible", "hidden"]);
});

test("while it grows it is one suggestion", () => {
  const { tracking, told, wait } = tracked();
  tracking.offered(URI, 4, [item("a", "return")], 0, false);
  wait();
  tracking.offered(URI, 4, [item("a", "return x + y")], 0, true);
  wait();
  assert.deepEqual(told, ["visible", "shown a"]);
  assert.equal(tracking.item?.insertText, "return x + y");
});

test("typing what it says keeps it, and only its rest stands", () => {
  const { tracking, told, insert } = tracked();
  tracking.offered(URI, 4, [item("a", "return x")], 0, true);
  tracking.edited(URI, [insert(4, "ret")]);
  tracking.moved(URI, 7);
  assert.equal(tracking.restAt(URI, 7), "urn x");
  assert.equal(tracking.restAt(URI, 8), "");
  assert.deepEqual(told, ["visible"]);
});

test("a bracket that the editor closes counts as typed once", () => {
  const { tracking, insert } = tracked();
  tracking.offered(URI, 4, [item("a", "(x, y)")], 0, true);
  tracking.edited(URI, [insert(4, "()")]);
  assert.equal(tracking.restAt(URI, 5), "x, y)");
});

test("a cursor that goes elsewhere ends it, and so does another document", () => {
  for (const [uri, offset] of [[URI, 3], ["file:///b.py", 4]] as const) {
    const { tracking, told } = tracked();
    tracking.offered(URI, 4, [item("a", "return x")], 0, true);
    tracking.moved(uri, offset);
    assert.deepEqual(told, ["visible", "hidden"]);
  }
});

test("escape before it counted as shown tells both, in order", () => {
  const { tracking, told, wait } = tracked();
  tracking.offered(URI, 4, [item("a", "return x")], 0, true);
  tracking.dismissed();
  wait();
  tracking.dismissed();
  assert.deepEqual(told, ["visible", "shown a", "dismissed a", "hidden"]);
});

test("words that are taken are counted from the start of the first suggestion", async () => {
  const { tracking, told, insert } = tracked();
  tracking.offered(URI, 4, [item("a", "return x + y")], 0, true);
  await tracking.taking(async () => tracking.edited(URI, [insert(4, "return")]));
  tracking.offered(URI, 10, [item("b", " x + y")], 0, true);
  await tracking.taking(async () => tracking.edited(URI, [insert(10, " x")]));
  assert.deepEqual(told, ["visible", "shown a", "partial a 6", "shown b", "partial a 8"]);
});

test("what comes after the end of a suggestion is another one", async () => {
  const { tracking, told, insert } = tracked();
  tracking.offered(URI, 0, [item("a", "ab")], 0, false);
  tracking.edited(URI, [insert(0, "a")]);
  tracking.offered(URI, 1, [item("b", "bcdef")], 0, true);
  await tracking.taking(async () => tracking.edited(URI, [insert(1, "bc")]));
  tracking.offered(URI, 3, [item("c", "def")], 0, true);
  await tracking.taking(async () => tracking.edited(URI, [insert(3, "de")]));
  assert.deepEqual(told.filter((each) => each.startsWith("partial")), ["partial a 3", "partial c 2"]);
});

test("a command that takes nothing reports nothing", async () => {
  const { tracking, told } = tracked();
  await tracking.taking(async () => undefined);
  tracking.offered(URI, 4, [item("a", "return x")], 0, true);
  await tracking.taking(async () => undefined);
  assert.deepEqual(told, ["visible"]);
});

test("the last word reports the whole length and ends it", async () => {
  const { tracking, told, insert } = tracked();
  tracking.offered(URI, 0, [item("a", "pass")], 0, true);
  await tracking.taking(async () => tracking.edited(URI, [insert(0, "pass")]));
  assert.deepEqual(told, ["visible", "hidden", "shown a", "partial a 4"]);
});

test("an answer without items takes away what stood", () => {
  const { tracking, told } = tracked();
  tracking.offered(URI, 4, [item("a", "return x")], 0, true);
  tracking.offered(URI, 4, [], 0, true);
  assert.deepEqual(told, ["visible", "hidden"]);
});
