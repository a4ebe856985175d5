import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findMoto } from './moto.ts';

/** A consumer in Python with boto3, that reads the secret itself and logs in with it (aws_reader.py). */
export interface AwsReader {
  /** Users that it logged in as, one for each login. */
  readonly logins: readonly string[];
  readonly refusals: readonly string[];
  /** @returns what it wrote when it ended by itself, which it never should */
  stop(): Promise<string>;
}

/** Starts it in this process's environment. */
export async function startAwsReader(kind: 'secret' | 'parameter', name: string): Promise<AwsReader> {
  const script = fileURLToPath(new URL('aws_reader.py', import.meta.url));
  const child = spawn(join(findMoto().bin, 'python'), [script, kind, name], { stdio: 'pipe' });
  const logins: string[] = [];
  const refusals: string[] = [];
  let errors = '';
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const first = new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`the reader ended:\n${errors}`)));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith('ok ')) logins.push(line.slice(3));
        else refusals.push(line);
        resolve();
      }
    });
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await first;
  return {
    logins,
    refusals,
    stop: async () => {
      child.stdin.end();
      await exited;
      return errors;
    },
  };
}
