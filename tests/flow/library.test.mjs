// The scripts of the library, named by streams of a real engine, deliver what `sluice pipe` says they make.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Engine, program } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';

const root = new URL('../..', import.meta.url).pathname, scripts = join(root, 'scripts');
const lines = ['events', 'usage'].map((name) => readFileSync(join(root, `examples/records/${name}.ndjson`), 'utf8')).join('');
const source = (name) => readFileSync(join(scripts, `${name}.lua`), 'utf8');

// What watches or remembers is for its spec: `pipe` has no other records to remember.
const names = readdirSync(scripts).filter((name) => name.endsWith('.lua') && !name.endsWith('_spec.lua')).map((name) => name.slice(0, -4))
  .filter((name) => !/M\.alert|ctx\.(count|sum|get|set)\b|kind = \{ "alert" \}/.test(source(name)));

const sorted = (records) => records.map((record) => JSON.stringify(record)).sort();

test('each script that neither alerts nor remembers', async () => {
  const engine = await Engine.start({ scripts }), receivers = [];
  try {
    assert.ok(names.includes('sample') && names.length >= 6, names.join());
    for (const name of names) {
      receivers.push(await Receiver.start());
      await engine.stream({ name, sink: 'rest_bulk', settings: { url: receivers.at(-1).url }, script_name: name });
    }
    await engine.send(lines.trim().split('\n').map((line) => JSON.parse(line)));
    for (const [i, name] of names.entries()) {
      const { stdout, status } = spawnSync(program, ['pipe', join(scripts, `${name}.lua`)], { input: lines, encoding: 'utf8' });
      assert.equal(status, 0, name);
      const expected = stdout.trim().split('\n').map((line) => JSON.parse(line));
      assert.deepEqual(sorted(await receivers[i].arrived(expected.length)), sorted(expected), name);
    }
  } finally {
    for (const receiver of receivers) receiver.end();
    await engine.end();
  }
});
