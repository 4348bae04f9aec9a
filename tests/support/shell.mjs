// shell.mjs - commands of the program as a person types them: what they print, and how they end.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { TOKEN, program } from './engine.mjs';

// A command that runs; `engine`, where there is one, is the one that it talks to. Its stdin is open.
export function start(engine, args, options = {}) {
  const env = { ...process.env, ...(engine ? { SLUICE_URL: engine.url, SLUICE_TOKEN: TOKEN } : {}) };
  const child = spawn(program, args, { env, ...options });
  const running = { child, out: '', err: '', ended: once(child, 'close') };
  child.stdout.setEncoding('utf8').on('data', (text) => { running.out += text; });
  child.stderr.setEncoding('utf8').on('data', (text) => { running.err += text; });
  child.stdin.on('error', () => {}); // who ends early does not read on
  return running;
}

// The same with what it reads, until it has ended.
export async function run(engine, args, { input = '', ...options } = {}) {
  const running = start(engine, args, options);
  running.child.stdin.end(input);
  const [code] = await running.ended;
  return { code, out: running.out, err: running.err };
}
