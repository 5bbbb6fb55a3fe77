// nodejs-order-book with the same flow: reads the steps, times the calls, tells the trades.
// Usage: node node_rival.mjs STEPS.json PACKAGE_FOLDER; STEPS is [[kind, buying, price, size, target], ...].
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [, , path, folder] = process.argv;
const { OrderBook } = createRequire(`${folder}/package.json`)("nodejs-order-book");
const steps = JSON.parse(readFileSync(path, "utf8"));
const [LIMIT, CANCEL] = [0, 1];
const names = steps.map((_, number) => String(number));
const book = new OrderBook();
const answers = new Array(steps.length);
const started = process.hrtime.bigint();
for (let number = 0; number < steps.length; number += 1) {
  const [kind, buying, price, size, target] = steps[number];
  const side = buying ? "buy" : "sell";
  if (kind === LIMIT) answers[number] = book.limit({ id: names[number], side, size, price });
  else if (kind === CANCEL) book.cancel(names[target]);
  else answers[number] = book.market({ side, size });
}
const seconds = Number(process.hrtime.bigint() - started) / 1e9;

// It tells the orders that are done and the one that is partly filled, so the trades follow from what was left of each.
const left = steps.map((step) => step[3]);
const trades = [];
answers.forEach((answer, taker) => {
  if (!answer) return;
  const trade = (maker, size) => {
    trades.push([taker, maker, steps[maker][2], size]);
    left[maker] -= size;
    left[taker] -= size;
  };
  for (const done of answer.done) if (done.id !== names[taker] && done.id in left) trade(Number(done.id), left[done.id]);
  const partial = answer.partial;
  if (partial && partial.id !== names[taker]) trade(Number(partial.id), answer.partialQuantityProcessed);
});
process.stdout.write(JSON.stringify({ seconds, trades }));
