import { spawn } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import type { Call } from '../../core/call.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';
import type { GitSpec } from './spec.ts';

/** What git said; `trouble` is for telling kinds of failures apart, never for messages. */
export interface GitAnswer {
  readonly code: number | null;
  readonly out: Buffer;
  readonly trouble: string;
}

/** Asks for nothing at a terminal, and reads the token where it is kept. */
const HELPER =
  '!f() { test "$1" = get || exit 0; printf "username=%s\\n" "$ROTOR_GIT_USERNAME"; printf "password=%s\\n" "$(cat "$ROTOR_GIT_TOKEN_FILE")"; }; f';
const PASSED_ON = ['HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy'];

/**
 * Runs git in a process group of its own that ends with the deadline. Neither its arguments nor its environment hold a
 * secret: a token is named by its file.
 * @throws RotorError `call.timeout`, `store.unsupported` when there is no git
 */
export async function runGit(
  call: Call,
  spec: GitSpec,
  home: string,
  args: readonly string[],
  more: { readonly input?: string } = {},
): Promise<GitAnswer> {
  const options = [
    '-c',
    'credential.helper=',
    ...helperFor(spec),
    ...(spec.caFile ? ['-c', `http.sslCAInfo=${spec.caFile}`] : []),
  ];
  const doing = `git ${args[0]} at ${placeOf(spec.url)}`;
  return call.deadline.run(doing, async (signal) => {
    const child = spawn('git', [...options, ...args], {
      cwd: home,
      env: environment(spec, home),
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const kill = () => killGroup(child.pid);
    signal.addEventListener('abort', kill, { once: true });
    try {
      // A program that ends early closes its input; its exit code tells why.
      child.stdin.on('error', () => undefined);
      child.stdin.end(more.input ?? '');
      const ended = new Promise<number | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', resolve);
      });
      const [out, trouble, code] = await Promise.all([buffer(child.stdout), buffer(child.stderr), ended]);
      return { code, out, trouble: trouble.toString('utf8') };
    } catch (error) {
      throw new RotorError('store.unsupported', {
        what: `${doing}: the program can't be run (${foreignCode(error) ?? 'unknown error'})`,
        hint: 'Install git where the workers run, or let the Store write into a `folder`.',
      });
    } finally {
      signal.removeEventListener('abort', kill);
    }
  });
}

/** For the host of the Store alone: git follows a server to another one, and would give it the token as well. */
function helperFor({ url, tokenFrom }: GitSpec): readonly string[] {
  if (!tokenFrom || !url.startsWith('https:')) return [];
  return ['-c', `credential.https://${new URL(url).host}.helper=${HELPER}`];
}

/** Repository without anything that an address may hide. */
export function placeOf(url: string): string {
  return url.replace(/\?.*$/, '');
}

function environment({ tokenFrom, ssh }: GitSpec, home: string): Record<string, string> {
  const options = '-o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes';
  return {
    PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: home,
    LANG: 'C',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ALLOW_PROTOCOL: 'https:ssh:file',
    ...Object.fromEntries(
      PASSED_ON.flatMap((name) => (process.env[name] ? [[name, process.env[name] ?? '']] : [])),
    ),
    ...(tokenFrom ? { ROTOR_GIT_USERNAME: tokenFrom.username, ROTOR_GIT_TOKEN_FILE: tokenFrom.file } : {}),
    ...(ssh
      ? { GIT_SSH_COMMAND: `ssh -i ${ssh.keyFile} -o UserKnownHostsFile=${ssh.knownHostsFile} ${options}` }
      : {}),
  };
}

/** git starts others (ssh, git-remote-https): they go with it. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself in this moment.
  }
}

/** The error for a fetch or push that failed. `sent`: the server may have done it. */
export function gitTrouble(
  doing: string,
  { url, branch }: GitSpec,
  { code, trouble }: GitAnswer,
): RotorError {
  const where = `${doing} ${placeOf(url)}, branch ${branch}`;
  if (/protected branch|GH006|pre-receive hook declined|You are not allowed to push/i.test(trouble)) {
    return new RotorError('store.permission-denied', {
      what: `sealed-secrets: ${where}: a rule of the server forbids the push`,
      hint: "Let Rotor's user push to the branch, or name another branch that a pull request is made of.",
    });
  }
  if (
    /Authentication failed|could not read (Username|Password)|Permission denied|\b40[13]\b|denied to|Host key verification/i.test(
      trouble,
    )
  ) {
    return new RotorError('store.permission-denied', {
      what: `sealed-secrets: ${where}: the server refuses Rotor's token or key`,
      hint: 'The token needs to read and write contents of the repository; check `tokenFrom` or `ssh`, and known hosts.',
    });
  }
  if (/couldn't find remote ref|Remote branch .* not found/i.test(trouble)) {
    return new RotorError('store.not-found', {
      what: `sealed-secrets: ${where}: there is no such branch`,
      hint: 'Make the branch, with a first commit.',
    });
  }
  if (/not found|does not appear to be a git repository|does not exist/i.test(trouble)) {
    return new RotorError('store.not-found', {
      what: `sealed-secrets: ${where}: there is no such repository, or Rotor's user may not see it`,
      hint: 'Check `git.url` of the Store, and what its token may see.',
    });
  }
  return new RotorError('store.unavailable', {
    what: `sealed-secrets: ${where} failed (exit code ${code})`,
    hint: 'Check that the workers reach the Git server.',
    kind: doing === 'push to' ? 'ambiguous' : 'retryable',
  });
}

/** Somebody else pushed in between: nothing of ours was taken. */
export function wasMoved({ trouble }: GitAnswer): boolean {
  return /non-fast-forward|fetch first|cannot lock ref|failed to update ref|stale info|incorrect old value/i.test(
    trouble,
  );
}
