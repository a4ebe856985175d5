import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { applyResource } from '../../ledger/resources.ts';
import { runbookSpec } from '../../orchestrator/incidents/runbook-schema.ts';
import type { Report } from '../../orchestrator/intake/report.ts';
import { takeReports } from '../../orchestrator/intake/take.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { freshLedger, type TestLedger } from './ledger.ts';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A ledger, an orchestrator, and somebody who is called: what tests of runbooks need. No worker. */
export interface RunbookStage {
  readonly test: TestLedger;
  readonly orchestrator: Orchestrator;
  readonly folder: string;
  /** A file with a secret of Standard Webhooks. */
  readonly secretFile: string;
  readonly url: string;
  readonly received: Received[];
  /** What is answered next; 200 when nothing is left. */
  readonly answers: { status: number; headers?: Record<string, string> }[];
  /** Applies a policy that names a runbook with these steps. @returns its uid */
  policy(name: string, steps: readonly object[], more?: object): Promise<string>;
  /** Reports that the secrets of policies leaked. @returns the incident */
  report(policies: readonly string[], more?: Partial<Report>): Promise<string>;
  /** Lets what waits for another try be tried now. */
  tryAgain(): Promise<void>;
  stop(): Promise<void>;
}

export async function runbookStage(): Promise<RunbookStage> {
  const test = await freshLedger();
  const folder = await mkdtemp(join(tmpdir(), 'rotor-runbook-'));
  const secretFile = join(folder, 'secret');
  await writeFile(secretFile, 'whsec_c2hhcmVkLXNlY3JldA==\n');
  const received: Received[] = [];
  const answers: RunbookStage['answers'] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request;
      received.push({ method, path, headers, body: Buffer.concat(chunks).toString() });
      const { status, headers: more } = answers.shift() ?? { status: 200 };
      response.writeHead(status, more).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const orchestrator: Orchestrator = {
    ledger: test.ledger,
    registries: { rotators: [], stores: [], deliveries: [], rollouts: [] },
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    fingerprintKey: SecretValue.of('test'),
    localStore: { kind: 'local', spec: {} },
    anchorFile: undefined,
    wake: async () => undefined,
    wakeIncident: async () => undefined,
  };
  const { ledger } = test;
  return {
    test,
    orchestrator,
    folder,
    secretFile,
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    received,
    answers,
    policy: async (name, steps, more = {}) => {
      const runbook = { kind: 'Runbook', namespace: 'shop', name } as const;
      await applyResource(ledger, { ...runbook, spec: runbookSpec.parse({ steps }) });
      const spec = {
        credential: { kind: 'random', spec: {} },
        store: { name: 'local', path: `shop/${name}` },
        deliver: [],
        consumers: [],
        settle: {},
        deadlineMs: 60_000,
        onCompromise: { runbook: name },
        ...more,
      };
      return (await applyPolicy(ledger, { uid: randomUUID(), namespace: 'shop', name, spec })).uid;
    },
    report: async (policies, more = {}) => {
      const reports = policies.map(
        (policy): Report => ({
          about: 'leak',
          type: 'a report',
          reference: 'one',
          found: [],
          hints: { policy: `shop/${policy}` },
          severity: 'high',
          validity: 'unknown',
          exposure: 'unknown',
          ...more,
        }),
      );
      const { incidents } = await takeReports(orchestrator, 'token/alice', randomUUID(), reports);
      return incidents[0] ?? '';
    },
    tryAgain: async () => {
      await ledger.query('UPDATE rotor.incident_steps SET next_at = clock_timestamp()');
      await ledger.query(
        'UPDATE rotor.incident_targets SET steps_at = clock_timestamp() WHERE steps_at IS NOT NULL',
      );
    },
    stop: async () => {
      server.close();
      await rm(folder, { recursive: true, force: true });
      await test.drop();
    },
  };
}
