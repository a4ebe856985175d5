import { RotorError } from '../../core/errors.ts';
import type { ClusterObject, JsonOperation } from '../../core/kubernetes/cluster.ts';
import { pendingOf } from './coalescing.ts';
import type { DeliveredSecret } from './delivered.ts';
import { belongsTo } from './secret-names.ts';
import { type SecretReference, secretReferences, withNames } from './secret-references.ts';

/** What has to be written so that a template has a version; nothing when it has it. Or why that can't be. */
export type TemplateChange =
  | { readonly wanted: string | undefined; readonly operations: readonly JsonOperation[] }
  | { readonly refused: string };

const previousOf = (annotation: string) => `previous.${annotation}`;
const previousNamesOf = (annotation: string) => `previous-names.${annotation}`;

/** A version that a template shall have of one Secret. */
export interface NewVersion {
  readonly annotation: string;
  readonly versionId: string;
  readonly secret: DeliveredSecret;
}

/**
 * The template with a version, and with every name of the Secret or of a version of it made the one that holds it. What
 * was before is noted with it, but only when the version changes: a repeat must not note its own work.
 * @param joining versions of other Secrets that share the rollout
 */
export function forwardChange(
  workload: ClusterObject,
  mine: NewVersion,
  joining: readonly NewVersion[] = [],
): TemplateChange {
  const all: { readonly notes: object; readonly template: object; readonly renamed: SecretReference[] }[] =
    [];
  for (const { annotation, versionId, secret } of [mine, ...joining]) {
    const { logical, name } = secret;
    const references = referencesTo(workload, logical);
    if (references.length === 0 && name !== logical) return { refused: unread(logical, name) };
    const others = references.filter((reference) => reference.name !== name);
    const now = annotated(workload, annotation);
    const notes = {
      [previousOf(annotation)]: now ?? '',
      [previousNamesOf(annotation)]: namesNoted(others, references),
    };
    all.push({
      notes: { ...(now === versionId ? {} : notes), [pendingOf(annotation)]: undefined },
      template: now === versionId ? {} : { [annotation]: versionId },
      renamed: others.map((reference) => ({ ...reference, name })),
    });
  }
  return {
    wanted: mine.versionId,
    operations: operationsFor(workload, {
      notes: Object.assign({}, ...all.map(({ notes }) => notes)),
      template: Object.assign({}, ...all.map(({ template }) => template)),
      renamed: all.flatMap(({ renamed }) => renamed),
    }),
  };
}

/** The wish for a version, at the workload itself: its template stays as it is, and nothing restarts. */
export function wishChange(
  workload: ClusterObject,
  { annotation, versionId }: NewVersion,
  value: string,
): TemplateChange {
  const notes = { [pendingOf(annotation)]: value };
  return { wanted: versionId, operations: operationsFor(workload, { notes, template: {}, renamed: [] }) };
}

/** The template as it was noted before {@link forwardChange}; nothing where it never took a version since. */
export function backwardChange(
  workload: ClusterObject,
  annotation: string,
  versionId: string,
  logical: string,
): TemplateChange {
  const now = annotated(workload, annotation);
  const { [previousOf(annotation)]: before, [previousNamesOf(annotation)]: names } =
    workload.metadata?.annotations ?? {};
  // A wish that was not fulfilled yet must not be.
  const notes = { [pendingOf(annotation)]: undefined };
  if (now === versionId || before === undefined || now === (before || undefined))
    return { wanted: now, operations: operationsFor(workload, { notes, template: {}, renamed: [] }) };
  const nameBefore = namesRead(names);
  const renamed = referencesTo(workload, logical).flatMap((reference) => {
    const name = nameBefore(reference);
    return name === undefined || name === reference.name ? [] : [{ ...reference, name }];
  });
  return {
    wanted: before || undefined,
    operations: operationsFor(workload, { notes, template: { [annotation]: before || undefined }, renamed }),
  };
}

/**
 * A pod's spec (plain JSON) in which every name of the Secret, or of a version of it, is the one that holds the version.
 * @throws RotorError `cluster.invalid` when it names none of them, so that its pods would not read the version
 */
export function podSpecReading(
  spec: Readonly<Record<string, unknown>>,
  { logical, name }: DeliveredSecret,
): Readonly<Record<string, unknown>> {
  const ours = secretReferences(spec).filter((reference) => belongsTo(logical, reference.name));
  if (ours.length === 0 && name !== logical)
    throw new RotorError('cluster.invalid', { what: unread(logical, name), hint: UNREAD_HINT });
  return withNames(
    spec,
    ours.map(({ pointer }) => ({ pointer, name })),
  );
}

const unread = (logical: string, name: string) =>
  `nothing in the pod template names secret ${logical}, so that nothing would read ${name}`;

export const UNREAD_HINT =
  'Name the Secret in the pod template as `secretName` of the policy does, or deliver in style "stable".';

function referencesTo(workload: ClusterObject, logical: string): readonly SecretReference[] {
  return secretReferences(workload.spec?.template?.spec).filter(({ name }) => belongsTo(logical, name));
}

/** The version that the template has of the Secret that the annotation stands for. */
export function annotated(workload: ClusterObject, annotation: string): string | undefined {
  return workload.spec?.template?.metadata?.annotations?.[annotation];
}

/** One name where all are the same, as they nearly always are; else place by place. Undefined: none changes. */
function namesNoted(
  changing: readonly SecretReference[],
  all: readonly SecretReference[],
): string | undefined {
  if (changing.length === 0) return undefined;
  const [first] = all;
  if (all.every(({ name }) => name === first?.name)) return first?.name;
  return JSON.stringify(Object.fromEntries(all.map(({ place, name }) => [place, name])));
}

function namesRead(noted: string | undefined): (reference: SecretReference) => string | undefined {
  if (noted === undefined) return () => undefined;
  if (!noted.startsWith('{')) return () => noted;
  const byPlace = new Map<string, unknown>(Object.entries(JSON.parse(noted) as object));
  return ({ place }) => {
    const name = byPlace.get(place);
    return typeof name === 'string' ? name : undefined;
  };
}

interface Wanted {
  /** Annotations of the workload; undefined removes. */
  readonly notes: Readonly<Record<string, string | undefined>>;
  /** Annotations of its pods' template; undefined removes. */
  readonly template: Readonly<Record<string, string | undefined>>;
  readonly renamed: readonly SecretReference[];
}

/**
 * One patch that touches nothing but these fields. Places of lists are told by their number, so it holds for the very object
 * that was looked at.
 */
function operationsFor(
  workload: ClusterObject,
  { notes, template, renamed }: Wanted,
): readonly JsonOperation[] {
  const operations = [
    ...annotationChanges('/metadata/annotations', workload.metadata?.annotations, notes),
    ...(workload.spec?.template?.metadata || Object.keys(template).length === 0
      ? []
      : [{ op: 'add' as const, path: '/spec/template/metadata', value: {} }]),
    ...annotationChanges(
      '/spec/template/metadata/annotations',
      workload.spec?.template?.metadata?.annotations,
      template,
    ),
    ...renamed.map(({ pointer, name }) => ({
      op: 'replace' as const,
      path: `/spec/template/spec${pointer}`,
      value: name,
    })),
  ];
  if (operations.length === 0) return [];
  const { resourceVersion } = workload.metadata ?? {};
  return [{ op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion }, ...operations];
}

function annotationChanges(
  path: string,
  now: Readonly<Record<string, string>> | undefined,
  wanted: Readonly<Record<string, string | undefined>>,
): readonly JsonOperation[] {
  const changes = Object.entries(wanted).filter(([name, value]) => now?.[name] !== value);
  if (changes.length === 0) return [];
  // An empty map may be another template than none, to the controllers of custom resources.
  if (Object.values({ ...now, ...wanted }).every((value) => value === undefined))
    return [{ op: 'remove', path }];
  return [
    ...(now ? [] : [{ op: 'add' as const, path, value: {} }]),
    ...changes.map(([name, value]): JsonOperation => {
      const at = `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      return value === undefined ? { op: 'remove', path: at } : { op: 'add', path: at, value };
    }),
  ];
}
