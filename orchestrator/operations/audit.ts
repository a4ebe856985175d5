import { appendFile, readFile } from 'node:fs/promises';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { type Anchor, sealAudit, type Verdict, verifyAudit } from '../../ledger/audit.ts';
import type { Ledger } from '../../ledger/database.ts';

/** Chains new audit rows, and notes the head of the chain outside the database so that a cut tail shows. */
export async function sealAndAnchor(
  ledger: Ledger,
  anchorFile: string | undefined,
): Promise<Anchor | undefined> {
  const head = await sealAudit(ledger);
  if (head && anchorFile) await appendFile(anchorFile, `${JSON.stringify(head)}\n`, { mode: 0o600 });
  return head;
}

/** Seals what isn't yet, then walks the whole chain past every anchor. */
export async function verifyTrail(ledger: Ledger, anchorFile: string | undefined): Promise<Verdict> {
  await sealAndAnchor(ledger, anchorFile);
  return verifyAudit(ledger, anchorFile ? await readAnchors(anchorFile) : []);
}

async function readAnchors(file: string): Promise<Anchor[]> {
  const text = await readFile(file, 'utf8').catch((error) => {
    if (foreignCode(error) === 'ENOENT') return '';
    throw new RotorError('reference.unresolved', {
      what: `the audit anchors in ${file} can't be read (${foreignCode(error)})`,
    });
  });
  // A line that a crash cut off in the middle anchors nothing.
  return text.split('\n').flatMap((line) => (/^\{.*\}$/.test(line) ? [JSON.parse(line) as Anchor] : []));
}
