import type { Command } from 'commander';
import { listenAddress } from '../../core/config.ts';
import { RotorError } from '../../core/errors.ts';
import { createLog } from '../../core/log.ts';
import type { ServeOptions } from '../../functions/serve.ts';
import { untilAsked } from './signals.ts';

const DEFAULT_LISTEN = '127.0.0.1:9001';

/** `functions`: the rotators as functions. Needs no ledger, no queue and no other Rotor. */
export function registerFunctionCommands(program: Command): void {
  const functions = program
    .command('functions')
    .description(
      'The rotators as functions, for AWS Lambda, Knative, Cloud Run, OpenFaaS and Azure (docs/functions.md)',
    );
  functions
    .command('serve')
    .description("Run functions here, each in processes of its own, and answer Lambda's Invoke API")
    .option(
      '--listen <address>',
      `address and port; ${DEFAULT_LISTEN}, or the port that the platform gives in PORT`,
    )
    .option('--functions <file>', 'YAML with functions of your own, or other settings of ours')
    .option('--token-file <file>', 'callers show this token (Authorization: Bearer)')
    .option(
      '--access-key-file <file>',
      'callers sign as for AWS with this key, {"accessKeyId","secretAccessKey"}',
    )
    .option('--trust-network', 'whoever reaches the port may call: a gateway has asked who it is')
    .option('--function <name>', 'the one function that is called at every path, in the form of --form')
    .option('--form <form>', 'http, cloudevents or azure')
    .action((flags: ServeOptions & { listen?: string }) => serve(flags));
}

/** Runs until SIGTERM or SIGINT. */
async function serve(flags: ServeOptions & { listen?: string }): Promise<void> {
  const log = createLog('rotor functions');
  const address = addressOf(flags);
  const loopback = /^(127\.|::1$|localhost$)/.test(address.host);
  const { createFunctionHost } = await import('../../functions/serve.ts');
  const { serveApi } = await import('../api/serve.ts');
  const host = createFunctionHost(flags, { loopback, env: process.env, log });
  const served = await serveApi(host.app, address, '--listen');
  process.stdout.write(
    `rotor functions is running at ${served.url}: ${host.names.join(', ')}; stop it with Ctrl-C\n`,
  );
  const signal = await untilAsked();
  log.info({ signal }, 'shutting down');
  await host.close();
  await served.close();
  if (process.connected) process.disconnect();
}

/** Azure's host gives a port on loopback, the others one on all addresses. */
function addressOf({ listen, form }: ServeOptions & { listen?: string }): { host: string; port: number } {
  const azure = form === 'azure' ? process.env.FUNCTIONS_CUSTOMHANDLER_PORT : undefined;
  const given = form !== undefined && form !== 'azure' ? process.env.PORT : undefined;
  const text = listen ?? (azure ? `127.0.0.1:${azure}` : given ? `0.0.0.0:${given}` : DEFAULT_LISTEN);
  const parsed = listenAddress.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new RotorError('config.invalid', { what: `--listen: ${parsed.error.issues[0]?.message}` });
}
