// scripts/README.md does what it says: its files are written, its commands run, its errors made.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { program } from '../support/engine.mjs';

const root = new URL('../..', import.meta.url).pathname, readme = readFileSync(join(root, 'scripts/README.md'), 'utf8');
let folder;

before(() => {
  folder = mkdtempSync(join(process.env.SLUICE_TEST_FOLDER ?? tmpdir(), 'sluice-readme-'));
  mkdirSync(join(folder, 'build'));
  symlinkSync(program, join(folder, 'build/sluice'));
  for (const name of ['examples', 'scripts']) symlinkSync(join(root, name), join(folder, name));
});
after(() => { rmSync(folder, { recursive: true }); });

function write(name, text) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}

// What a command prints, and then what it says on stderr.
function run(command, input = '') {
  const { stdout, stderr, signal } = spawnSync('bash', ['-c', command], { cwd: folder, input, encoding: 'utf8', timeout: 60000 });
  assert.equal(signal, null, command);
  return stdout + stderr;
}

const blocks = (kind) => [...readme.matchAll(new RegExp(`\`\`\`${kind}\\n([^]*?)\`\`\``, 'g'))].map((found) => found[1]);

test('every command prints what is shown below it', () => {
  const files = blocks('lua').map((text) => [text.match(/^-- (my\/\w+\.lua)\n/)?.[1], text]);
  for (const [name, text] of files) write(name, text);
  const commands = blocks('console').flatMap((text) => text.split(/^\$ /m).slice(1)).map((text) => text.split(/\n([^]*)/));
  assert.ok(files.length >= 8 && commands.length >= 10, `${files.length} files, ${commands.length} commands`);
  for (const [command, shown] of commands) assert.equal(run(command), shown, command);
  for (const [name] of files) if (!name.endsWith('_spec.lua')) assert.ok(readme.includes(`${name} `) || readme.includes(`${name}\n`), `${name} is used`);
});

test('every error says what the table says', () => {
  const rows = [...readme.split('## What errors say')[1].matchAll(/^\| `(.*)` \| `(.*)` \|$/gm)];
  const record = JSON.stringify({ ...JSON.parse(readFileSync(join(root, 'examples/records/events.ndjson'), 'utf8').split('\n')[0]), id: 1 });
  assert.ok(rows.length >= 10);
  for (const [, body, message] of rows) {
    write('my/error.lua', `local M = { api = 1 }\nfunction M.map(rec, ctx)\n${body}\nend\nreturn M\n`);
    const said = run('build/sluice pipe my/error.lua', record);
    assert.equal(said.match(/^my\/error\.lua:\d+: (.*) \(record 1, line 1\)\n/)?.[1], message, body);
  }
});

test('the library: the table has each script, with the parameters that its first lines explain', () => {
  const rows = [...readme.matchAll(/^\| `(\w+)\.lua` \| [^|]+ \| ([^|]+) \| /gm)];
  const shipped = run('cd scripts && ls *.lua | grep -v _spec').trim().split('\n').map((name) => name.replace('.lua', ''));
  assert.deepEqual(rows.map((row) => row[1]).sort(), shipped.sort());
  for (const [, name, parameters] of rows) {
    const text = readFileSync(join(root, `scripts/${name}.lua`), 'utf8');
    const used = new Set([...text.matchAll(/ctx\.parameters\.(\w+)/g)].map((found) => found[1]));
    assert.deepEqual([...parameters.matchAll(/`(\w+)`/g)].map((found) => found[1]).sort(), [...used].sort(), name);
    for (const parameter of used) assert.match(text, new RegExp(`^-- (parameters:| {11}) +${parameter} `, 'm'), `${name} says what ${parameter} is`);
    for (const suffix of ['_spec.lua', '.input.ndjson', '.output.ndjson']) readFileSync(join(root, `scripts/${name}${suffix}`));
    assert.equal(run(`build/sluice check scripts/${name}.lua`), `ok  scripts/${name}.lua\n`);
  }
});
