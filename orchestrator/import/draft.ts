import { stringify } from 'yaml';
import { API_VERSION, type Kind } from '../manifests/manifest.ts';
import { readManifests } from '../manifests/parse.ts';
import type { Schemas } from '../manifests/schemas.ts';

/** One manifest to start from, as it is written. */
export interface DraftManifest {
  readonly kind: Kind;
  readonly name: string;
  readonly spec: object;
  /** For the reader, above the manifest. */
  readonly notes?: readonly string[];
  /** What a person has to fill in before it is valid, or before it means what it should: field and words. */
  readonly open?: readonly string[];
}

/** What became of one thing that was found. */
export interface Imported {
  /** `secret prod/db` */
  readonly found: string;
  readonly manifests: readonly DraftManifest[];
  /** Why it couldn't be mapped and what to do, where `manifests` is empty. */
  readonly unmapped?: string;
}

export type Result = 'imported' | 'partly' | 'not mapped';

export interface ReportLine {
  readonly found: string;
  readonly result: Result;
  /** The policy, or the first manifest, that came of it. */
  readonly manifest: string | undefined;
  readonly why: readonly string[];
}

/** Manifests as text, by the file that each group belongs in. */
export interface Written {
  readonly files: readonly { readonly name: string; readonly text: string }[];
  readonly report: readonly ReportLine[];
}

/**
 * Texts and report of what was found. Each text is checked by the schemas that `rotor validate` has: what they refuse is open,
 * too. Pure.
 * @param shared manifests that several share, each in a file of its own
 */
export function written(
  found: readonly Imported[],
  shared: readonly DraftManifest[],
  namespace: string,
  schemas: Schemas,
): Written {
  const groups = [
    ...shared.map((manifest) => [manifest]),
    ...found.map(({ manifests }) => manifests).filter((all) => all.length > 0),
  ];
  const files = groups.map((manifests) => ({
    name: fileName(manifests),
    text: manifests.map((each) => textOf(each, namespace)).join('---\n'),
  }));
  const openOf = (manifests: readonly DraftManifest[]) => {
    const open = manifests.flatMap((each) => each.open ?? []);
    if (open.length > 0) return open;
    const { problems } = readManifests(
      manifests.map((each) => textOf(each, namespace)).join('---\n'),
      fileName(manifests),
      schemas,
    );
    return problems.map(({ field, message }) => `${field} ${message}`);
  };
  const report = found.map(({ found: what, manifests, unmapped }): ReportLine => {
    const main = manifests.find(({ kind }) => kind === 'RotationPolicy') ?? manifests[0];
    const manifest = main && `${main.kind} ${namespace}/${main.name}`;
    if (!main) return { found: what, result: 'not mapped', manifest, why: [unmapped ?? ''] };
    const why = openOf(manifests);
    return { found: what, result: why.length > 0 ? 'partly' : 'imported', manifest, why };
  });
  const ofShared = shared.flatMap((each): ReportLine[] => {
    const why = openOf([each]);
    const manifest = `${each.kind} ${namespace}/${each.name}`;
    return why.length > 0 ? [{ found: '(shared)', result: 'partly', manifest, why }] : [];
  });
  return { files, report: [...report, ...ofShared] };
}

function fileName(manifests: readonly DraftManifest[]): string {
  const main = manifests.find(({ kind }) => kind === 'RotationPolicy') ?? manifests[0];
  if (main?.kind === 'RotationPolicy') return `${main.name}.yaml`;
  return `${main?.kind.toLowerCase()}-${main?.name}.yaml`;
}

function textOf({ kind, name, spec, notes = [], open = [] }: DraftManifest, namespace: string): string {
  const comments = [...notes, ...open.map((each) => `OPEN: ${each}`)].map(
    (line) => `# ${line.replaceAll(/[\r\n]+/g, ' ')}\n`,
  );
  const manifest = { apiVersion: API_VERSION, kind, metadata: { name, namespace }, spec };
  return `${comments.join('')}${stringify(manifest, { lineWidth: 0 })}`;
}

/** Names for manifests: RFC 1123 labels, each given once. */
export function naming(): (text: string) => string {
  const taken = new Set<string>();
  return (text) => {
    const plain = text
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .slice(0, 58)
      .replace(/^-+|-+$/g, '');
    const base = plain === '' ? 'unnamed' : plain;
    for (let n = 1; ; n += 1) {
      const name = n === 1 ? base : `${base}-${n}`;
      if (taken.has(name)) continue;
      taken.add(name);
      return name;
    }
  };
}

/** Whether a store keeps secrets at such a path (policies allow letters, digits and `_.-` in parts). */
export function isStorePath(path: string): boolean {
  return (
    path.length <= 200 && /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/.test(path) && !/(^|\/)\.+(\/|$)/.test(path)
  );
}
