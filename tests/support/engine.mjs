// engine.mjs - a real engine in a folder of its own, for the whole-program tests: started, asked, killed, started again.
import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';

const root = new URL('../..', import.meta.url).pathname;
export const program = process.env.SLUICE ?? join(root, 'build/sluice');
export const TOKEN = 'operator-of-the-tests';

// Waits until `ask` gives something true; no fixed sleeps.
export async function until(ask, what = 'the condition', ms = 30000) {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await new Promise((go) => setTimeout(go, 10));
  }
}

const quote = (value) =>
  Array.isArray(value) ? `{${value.map(quote).join(',')}}`
  : value && typeof value === 'object' ? `{${Object.entries(value).map(([k, v]) => `[${quote(k)}]=${quote(v)}`).join(',')}}`
  : JSON.stringify(value);

export class Engine {
  constructor(config = {}) {
    this.folder = mkdtempSync(join(process.env.SLUICE_TEST_FOLDER ?? tmpdir(), 'sluice-'));
    mkdirSync(join(this.folder, 'scripts'));
    this.config = {
      listen: '127.0.0.1:0', data: join(this.folder, 'data'), scripts: join(this.folder, 'scripts'), sinks: join(root, 'sinks'),
      egress: { allow: ['127.0.0.0/8'] }, workers: 2, couriers: 2, ...config,
    };
    this.log = '';
  }

  static async start(config) {
    const engine = new Engine(config);
    await engine.start();
    return engine;
  }

  async start() {
    const file = join(this.folder, 'sluice.lua');
    writeFileSync(file, `return ${quote(this.config)}\n`);
    this.child = spawn(program, ['run', '-c', file], {
      env: { ...process.env, SLUICE_TOKEN_OPERATOR: TOKEN }, stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.ended = once(this.child, 'exit');
    let here = '';
    this.child.stderr.on('data', (text) => { here += text; this.log += text; });
    await until(() => {
      if (this.child.exitCode !== null) throw new Error(`the engine ended with ${this.child.exitCode}: ${here}`);
      return (this.url = here.match(/listening on (http:\S+)/)?.[1]);
    }, 'the engine to listen');
    return this;
  }

  get pid() { return this.child.pid; }

  async kill() { // as a crash
    this.child.kill('SIGKILL');
    await this.ended;
  }

  async stop() { // as an operator; resolves to the exit code
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    const [code] = await this.ended;
    return code;
  }

  async end() { // for after(): stops and cleans up
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      await this.ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async call(method, path, body, headers = {}) {
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(this.url + path, {
      method, body: body === undefined ? undefined : raw ? body : JSON.stringify(body),
      headers: { Authorization: `Bearer ${TOKEN}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
    });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, headers: response.headers, type, text, json: type.includes('json') ? JSON.parse(text) : undefined };
  }

  async send(records) { // an array of records, taken as it stands; throws when it is not
    const answer = await this.call('POST', '/api/v1/records', records);
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
    return answer.json;
  }

  async stream(definition) {
    const answer = await this.call('POST', '/api/v1/streams', { name: 'test', type: 'usage_and_events', ...definition });
    if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
    return answer.json;
  }

  async status(id) {
    return (await this.call('GET', `/api/v1/streams/${id}`)).json.status;
  }

  async deadLetters(id) {
    return (await this.call('GET', `/api/v1/streams/${id}/dead-letters?limit=1000`)).json.items;
  }

  // Bytes of anonymous and shared memory of the engine and its workers.
  memory() {
    const pids = [this.pid, ...readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').split(' ').filter(Boolean)];
    let total = 0;
    for (const pid of pids) {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      for (const name of ['Pss_Anon', 'Pss_Shmem']) total += 1024 * Number(text.match(new RegExp(`${name}:\\s+(\\d+)`))[1]);
    }
    return total;
  }
}
