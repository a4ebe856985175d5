import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeNewFile } from '../../../core/durable-file.ts';
import { foreignCode, RotorError } from '../../../core/errors.ts';
import { ledgerNow } from '../../../ledger/rotations.ts';
import { endLikeSteps } from '../../../ledger/runbook-steps.ts';
import { evidenceOf } from '../evidence.ts';
import { evidencePage } from '../evidence-page.ts';
import type { EffectKind } from '../outcome.ts';
import { evidence } from '../runbook-schema.ts';

const LIMIT_MS = 60_000;

/**
 * Writes the bundle, as JSON and as a page, readable for this user alone; each is there as a whole or not at all. One bundle
 * tells of all credentials of the incident, so that it is written once for those that have ended.
 */
export const evidenceStep: EffectKind = {
  kind: 'evidence',
  limitMs: () => LIMIT_MS,

  async perform({ orchestrator, target: { incidentId }, step }) {
    const { ledger } = orchestrator;
    const { directory } = evidence.parse(step.spec);
    const before = await ledgerNow(ledger);
    const bundle = await evidenceOf(orchestrator, incidentId);
    const files = {
      json: join(directory, `incident-${incidentId}.json`),
      page: join(directory, `incident-${incidentId}.html`),
    };
    try {
      await replace(files.json, `${JSON.stringify(bundle, null, 2)}\n`, step.id);
      await replace(files.page, evidencePage(bundle), step.id);
      await syncFolder(directory);
    } catch (error) {
      throw new RotorError('delivery.failed', {
        what: `the evidence can't be written to ${directory} (${foreignCode(error) ?? 'unknown error'})`,
        hint: 'The directory has to be there, and writable for the orchestrator.',
        cause: error,
      });
    }
    await endLikeSteps(ledger, incidentId, step, before, files);
    return { done: files };
  },
};

async function replace(file: string, content: string, stepId: string): Promise<void> {
  const fresh = `${file}.${stepId}`;
  // One who died while writing left it.
  await rm(fresh, { force: true });
  await writeNewFile(fresh, Buffer.from(content), { mode: 0o600 });
  await rename(fresh, file);
}
