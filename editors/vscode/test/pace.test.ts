import assert from "node:assert/strict";
import { test } from "node:test";
import { LEAST_GAP_MS, Pace } from "../src/pace";

test("the first text is drawn at once, the next after a moment", () => {
  const pace = new Pace();
  assert.equal(pace.waitMs("re", false, 1000), 0);
  pace.drawn("re", 1000);
  assert.equal(pace.waitMs("return", false, 1000), LEAST_GAP_MS);
  assert.equal(pace.waitMs("return", false, 1100), LEAST_GAP_MS - 100);
  assert.equal(pace.waitMs("return", false, 1000 + LEAST_GAP_MS), 0);
});

test("a whole new line and the end are drawn at once", () => {
  const pace = new Pace();
  pace.drawn("a = 1", 1000);
  assert.equal(pace.waitMs("a = 1\nb", false, 1001), 0);
  assert.equal(pace.waitMs("a = 1 +", true, 1001), 0);
  pace.drawn("a = 1\nb", 1001);
  assert.equal(pace.waitMs("a = 1\nb = 2", false, 1002), LEAST_GAP_MS - 1);
});
