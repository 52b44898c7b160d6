import assert from "node:assert/strict";
import { test } from "node:test";
import { Redrawing } from "../src/redrawing";

/** A redrawing in an editor that, when made to, asks in some way; what is called is written down. */
function redrawing(ask: (redrawing: Redrawing) => void) {
  const called: string[] = [];
  const call = (name: string, act = () => undefined as unknown) => async () => {
    called.push(name);
    return act();
  };
  const now: Redrawing = new Redrawing({
    renew: () => {
      called.push("renew");
      return () => called.push("end");
    },
    askProvider: call("askProvider", () => ask(now)),
    hide: call("hide"),
    askAll: call("askAll", () => called.push(`drawn ${now.asked(false)}`)),
  });
  return { now, called };
}

test("a text is replaced by renewing the provider; the former one ends after the answer", async () => {
  const { now, called } = redrawing((each) => assert.equal(each.asked(true), true));
  assert.equal(await now.inPlace(), true);
  assert.deepEqual(called, ["renew", "askProvider", "end"]);
  assert.equal(now.isOn, false);
});

test("an editor that does not ask, or asks as for the user, has not replaced the text", async () => {
  assert.equal(await redrawing(() => undefined).now.inPlace(), false);
  assert.equal(await redrawing((each) => assert.equal(each.asked(false), false)).now.inPlace(), false);
});

test("an editor that refuses has not replaced the text, and the former provider ends", async () => {
  const { now, called } = redrawing(() => {
    throw new Error("unknown arguments");
  });
  assert.equal(await now.inPlace(), false);
  assert.deepEqual(called, ["renew", "askProvider", "end"]);
});

test("where nothing can be replaced, the text is hidden and asked for", async () => {
  const { now, called } = redrawing(() => undefined);
  await now.hidden();
  assert.deepEqual(called, ["hide", "askAll", "drawn true"]);
});

test("what the editor asks for by itself is drawn", () => {
  const { now } = redrawing(() => undefined);
  assert.equal(now.asked(true), true);
  assert.equal(now.asked(false), true);
});
