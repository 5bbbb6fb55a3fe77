// The public market on one page: a snapshot by REST, then the WebSocket feed. Prices and sizes stay text all the way;
// numbers are made of them only to sort rows and to draw the depth bars.

const ROWS = 12;
const RETRY_MS = 2000;
const element = (id) => document.getElementById(id);
const book = { bids: new Map(), asks: new Map() };
const trades = [];
let product = "";
let socket;

async function read(path) {
  const answer = await fetch(path);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message ?? `${path} answered ${answer.status}`);
  return body;
}

function complain(error) {
  element("message").hidden = !error;
  element("message").textContent = error ? `${error.message}. Reload the page to try again.` : "";
}

function cell(text, className = "") {
  const td = document.createElement("td");
  td.textContent = text;
  td.className = className;
  return td;
}

function drawSide(id, levels, compare, className) {
  const rows = [...levels].sort(compare).slice(0, ROWS);
  const largest = Math.max(...rows.map(([, size]) => Number(size)), 0);
  if (id === "asks") rows.reverse();
  const drawn = rows.map(([price, size]) => {
    const row = document.createElement("tr");
    row.style.setProperty("--depth", `${(100 * Number(size)) / largest}%`);
    row.append(cell(price, className), cell(size));
    return row;
  });
  element(id).replaceChildren(...drawn);
}

function draw() {
  drawSide("asks", book.asks, ([a], [b]) => Number(a) - Number(b), "sell");
  drawSide("bids", book.bids, ([a], [b]) => Number(b) - Number(a), "buy");
  if (!book.asks.size && !book.bids.size) {
    const row = document.createElement("tr");
    row.append(cell("No orders rest here yet.", "empty"));
    element("bids").replaceChildren(row);
  }
  const drawn = trades.map((trade) => {
    const row = document.createElement("tr");
    // `side` is the maker's: a seller who was met means that somebody bought.
    row.append(cell(trade.time.slice(11, 19)), cell(trade.price, trade.side === "sell" ? "buy" : "sell"), cell(trade.size));
    return row;
  });
  element("trades").replaceChildren(...drawn);
}

function showTicker(ticker) {
  element("price").textContent = ticker.price ?? "–";
  element("bid").textContent = ticker.bid ?? ticker.best_bid ?? "–";
  element("ask").textContent = ticker.ask ?? ticker.best_ask ?? "–";
  element("volume").textContent = ticker.volume ?? ticker.volume_24h ?? "–";
}

function addTrade(trade) {
  if (trades[0] && trade.trade_id <= trades[0].trade_id) return;
  trades.unshift(trade);
  trades.length = Math.min(trades.length, 2 * ROWS);
}

const handlers = {
  snapshot(message) {
    book.bids = new Map(message.bids);
    book.asks = new Map(message.asks);
  },
  l2update(message) {
    for (const [side, price, size] of message.changes) {
      const levels = side === "buy" ? book.bids : book.asks;
      if (Number(size) === 0) levels.delete(price);
      else levels.set(price, size);
    }
  },
  ticker: showTicker,
  match: addTrade,
  last_match: addTrade,
};

function listen(wanted) {
  socket?.close();
  const opened = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket = opened;
  opened.onopen = () => {
    opened.send(JSON.stringify({ type: "subscribe", product_ids: [wanted], channels: ["ticker", "level2", "matches"] }));
  };
  opened.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    element("connection").textContent = "live";
    element("connection").className = "live";
    if (message.product_id === product && handlers[message.type]) {
      handlers[message.type](message);
      requestAnimationFrame(draw);
    }
  };
  opened.onclose = () => {
    if (socket !== opened) return;
    element("connection").textContent = "reconnecting";
    element("connection").className = "";
    setTimeout(() => socket === opened && listen(product), RETRY_MS);
  };
}

async function show(wanted) {
  product = wanted;
  document.title = `${wanted} · Stock Exchange`;
  element("product").textContent = wanted;
  for (const link of element("products").children) {
    if (link.textContent === wanted) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const [ticker, depth, recent] = await Promise.all([
    read(`/products/${wanted}/ticker`),
    read(`/products/${wanted}/book?level=2`),
    read(`/products/${wanted}/trades?limit=${2 * ROWS}`),
  ]);
  if (product !== wanted) return;
  showTicker(ticker);
  book.bids = new Map(depth.bids);
  book.asks = new Map(depth.asks);
  trades.splice(0, trades.length, ...recent);
  draw();
  listen(wanted);
}

async function start() {
  const products = await read("/products");
  const links = products.map(({ id }) => {
    const link = document.createElement("a");
    link.href = `#${id}`;
    link.textContent = id;
    return link;
  });
  element("products").replaceChildren(...links);
  const chosen = () => products.find(({ id }) => `#${id}` === location.hash)?.id ?? products[0]?.id;
  addEventListener("hashchange", () => show(chosen()).then(() => complain(), complain));
  if (chosen()) await show(chosen());
}

start().then(() => complain(), complain);
