// Kills: the engine dies at random moments under load while its receiver fails one request in five; nothing acknowledged is lost.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { event, usage } from '../support/records.mjs';

const KILLS = Number(process.env.SLUICE_KILLS ?? (process.env.SLUICE_TEST_LONG ? 200 : 12));
const script = `local M = { api = 1 }
  function M.filter(rec) local s = rec.event_severity; return not s or s.id > 0, "info" end
  function M.map(rec) return { id = rec.id, endpoint = rec.endpoint.id, turn = rec.turn } end
  return M`;

test(`${KILLS} kills under load lose nothing that was acknowledged`, { timeout: 60000 + KILLS * 6000 }, async (t) => {
  const receiver = await Receiver.start(() => (Math.random() < 0.2 ? 500 : 200));
  const engine = await Engine.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url, max_records: 500 }, script });
  const kept = new Set();
  let sent = 0, stopped = false, turn = 0;

  async function load() { // one connection: what was not acknowledged is sent again, as a client would
    while (!stopped) {
      const batch = [];
      for (let i = 0; i < 100; i++) {
        const endpoint = { id: 1 + Math.floor(Math.random() * 50) };
        batch.push(Math.random() < 0.7 ? usage({ endpoint, turn: turn++ }) : event({ endpoint, turn: turn++, event_severity: { id: turn % 2 } }));
      }
      for (let done = false; !done && !stopped;) {
        try {
          const answer = await engine.send(batch);
          assert.equal(answer.accepted + answer.duplicates, batch.length);
          done = true;
        } catch { await new Promise((go) => setTimeout(go, 5)); }
      }
      if (stopped) return;
      sent += batch.length;
      for (const r of batch) if (!r.event_severity || r.event_severity.id > 0) kept.add(r.id);
    }
  }
  const loads = [load(), load()];
  for (let i = 0; i < KILLS; i++) {
    await new Promise((go) => setTimeout(go, 50 + Math.random() * 250));
    await engine.kill();
    await engine.start();
  }
  stopped = true;
  await Promise.all(loads);
  const distinct = () => new Set(receiver.records.map((r) => r.id));
  await until(() => { const d = distinct(); return [...kept].every((id) => d.has(id)); }, 'all kept records to arrive', 40000 + KILLS * 1000)
    .catch(() => {});
  const arrived = distinct(), lost = [...kept].filter((id) => !arrived.has(id));
  const status = await engine.status(stream.id);
  console.log(JSON.stringify({ kills: KILLS, sent, kept: kept.size, arrived: arrived.size, duplicates: receiver.records.length - arrived.size, lost: lost.length }));
  assert.equal(lost.length, 0, `lost ${lost.slice(0, 5)} ${JSON.stringify(status)}\n${engine.log.slice(-2000)}`);
});
