import assert from "node:assert/strict";
import { test } from "node:test";
import { GrowingAnswer } from "../src/growing";

function growing(standing = "") {
  let nGrown = 0;
  const answer = new GrowingAnswer(standing, () => nGrown++);
  const settled = async () => {
    const state = await Promise.race([answer.ready.then(() => true), new Promise<false>((resolve) => setImmediate(() => resolve(false)))]);
    return { ready: state, text: answer.items[0]?.insertText, nGrown };
  };
  return { answer, settled };
}

test("the first partial result makes it ready, later ones grow it", async () => {
  const { answer, settled } = growing();
  assert.equal((await settled()).ready, false);
  answer.grow([{ insertText: "a" }]);
  assert.deepEqual(await settled(), { ready: true, text: "a", nGrown: 0 });
  answer.grow([{ insertText: "ab" }]);
  answer.finish([{ insertText: "ab" }]);
  assert.deepEqual(await settled(), { ready: true, text: "ab", nGrown: 1 });
});

test("it is held back while it says less than what stands there", async () => {
  const { answer, settled } = growing("return x");
  answer.grow([{ insertText: "return" }]);
  assert.equal((await settled()).ready, false);
  answer.grow([{ insertText: "return x" }]);
  assert.deepEqual(await settled(), { ready: true, text: "return x", nGrown: 0 });
});

test("another text is shown at once", async () => {
  const { answer, settled } = growing("return x");
  answer.grow([{ insertText: "yield" }]);
  assert.equal((await settled()).ready, true);
});

test("the last result counts even if it is shorter or empty", async () => {
  for (const items of [[], [{ insertText: "ret" }]]) {
    const { answer, settled } = growing("return x");
    answer.finish(items);
    assert.deepEqual(await settled(), { ready: true, text: items[0]?.insertText, nGrown: 0 });
  }
});

test("it is whole once the last result is there", async () => {
  const { answer } = growing();
  answer.grow([{ insertText: "a" }]);
  setImmediate(() => answer.finish([{ insertText: "ab" }]));
  await answer.whole;
  assert.equal(answer.items[0]?.insertText, "ab");
});

test("what comes after the end is ignored", async () => {
  const { answer, settled } = growing();
  answer.grow([{ insertText: "a" }]);
  answer.end();
  answer.grow([{ insertText: "ab" }]);
  answer.finish([{ insertText: "abc" }]);
  assert.deepEqual(await settled(), { ready: true, text: "a", nGrown: 0 });
});
