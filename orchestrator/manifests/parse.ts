import { type Document, isScalar, LineCounter, parseAllDocuments, type YAMLError } from 'yaml';
import { closest } from '../../core/closest.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import { findInlineSecrets } from './inline-secrets.ts';
import { type Complaint, complaintsOf } from './issue-message.ts';
import { EXACTLY_ONE } from './keyed.ts';
import { locate, placeAt } from './locate.ts';
import { API_VERSION, KINDS, type Kind, type Manifest, manifestKey } from './manifest.ts';
import { formatPath, formatProblem, ManifestError, type Problem, valueAt } from './problem.ts';
import { jsonSchemaOf, manifestSchemas, type Schemas } from './schemas.ts';
import { findUnknownFields } from './unknown-fields.ts';

/** Aliases may multiply a small file into a huge document. */
const MOST_ALIASES = 100;
const MOST_CHARACTERS = 4_000_000;

/**
 * Reads the manifests of one text (YAML or JSON, any number of documents).
 * @param file only for messages
 * @throws ManifestError with all problems of the text
 */
export function parseManifests(text: string, file: string, registries: Registries): readonly Manifest[] {
  const { manifests, problems } = readManifests(text, file, manifestSchemas(registries));
  const all = [...problems, ...findDuplicates(manifests)];
  if (all.length > 0) throw new ManifestError(all);
  return manifests;
}

export interface Reading {
  readonly manifests: readonly Manifest[];
  readonly problems: readonly Problem[];
}

/** Like {@link parseManifests}, for several texts: problems are collected, and duplicates left to the caller. */
export function readManifests(text: string, file: string, schemas: Schemas): Reading {
  const manifests: Manifest[] = [];
  const problems: Problem[] = [];
  if (text.length > MOST_CHARACTERS) {
    return { manifests, problems: [{ file, line: 1, column: 1, field: '', message: 'is larger than 4 MB' }] };
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  for (const document of Array.isArray(documents) ? documents : []) {
    if (document.errors.length > 0) {
      problems.push(...document.errors.map((error) => syntaxProblem(error, file, lines)));
    } else if (document.contents !== null && !isEmpty(document)) {
      const reading = readDocument(document, file, lines, schemas);
      if ('manifest' in reading) manifests.push(reading.manifest);
      else problems.push(...reading.problems);
    }
  }
  return { manifests, problems };
}

/** Manifests that say the same kind, namespace and name as one before them. */
export function findDuplicates(manifests: readonly Manifest[]): Problem[] {
  const seen = new Map<string, Manifest>();
  return manifests.flatMap((manifest): Problem[] => {
    const key = manifestKey(manifest);
    const first = seen.get(key);
    if (!first) seen.set(key, manifest);
    if (!first) return [];
    const message = `${key} is written already at ${first.source.file}:${first.source.line}`;
    return [{ ...manifest.source, column: 1, field: 'metadata.name', message }];
  });
}

function readDocument(
  document: Document,
  file: string,
  lines: LineCounter,
  schemas: Schemas,
): { readonly manifest: Manifest } | { readonly problems: readonly Problem[] } {
  const problemAt = ({ path, message }: Complaint, of: 'key' | 'value' = 'value'): Problem => ({
    file,
    ...locate(document, lines, path, of),
    field: formatPath(path),
    message,
  });
  let written: unknown;
  try {
    written = document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch {
    return { problems: [problemAt({ path: [], message: 'has aliases without anchors, or too many' })] };
  }
  const wrongHead = checkHead(written);
  const secrets = findInlineSecrets(written);
  if (wrongHead.length > 0) {
    return { problems: [...wrongHead, ...secrets].map((complaint) => problemAt(complaint)) };
  }
  const kind = (written as { kind: Kind }).kind;
  const unknown = findUnknownFields(written, jsonSchemaOf(schemas, kind));
  const parsed = schemas[kind].safeParse(written);
  const complaints = (parsed.error?.issues ?? []).flatMap((issue) => complaintsOf(issue, written));
  const problems = [
    ...secrets.map((complaint) => problemAt(complaint, 'key')),
    ...without(unknown, secrets).map((complaint) => problemAt(complaint, 'key')),
    ...without(complaints, [...secrets, ...unknown]).map((complaint) => problemAt(complaint)),
  ];
  if (!parsed.success || problems.length > 0) return { problems: unique(problems) };
  const { metadata, spec } = parsed.data;
  const source = { file, line: locate(document, lines, [], 'value').line };
  // The only label that means something to Rotor is kept with what it has a meaning for.
  const { environment } = metadata.labels;
  const kept = kind === 'RotationPolicy' && environment !== undefined ? { ...spec, environment } : spec;
  return { manifest: { kind, ...metadata, spec: kept, source } as Manifest };
}

/** Nothing but comments between two `---`. */
function isEmpty({ contents }: Document): boolean {
  return isScalar(contents) && contents.value === null;
}

/** Checked before the schemas, which depend on the kind. */
function checkHead(written: unknown): Complaint[] {
  if (typeof written !== 'object' || written === null || Array.isArray(written)) {
    return [{ path: [], message: 'needs a map with apiVersion, kind, metadata and spec' }];
  }
  const complaints: Complaint[] = [];
  const version = valueAt(written, ['apiVersion']);
  if (version !== API_VERSION) {
    complaints.push({
      path: ['apiVersion'],
      message: version === undefined ? `is required: ${API_VERSION}` : `needs ${API_VERSION}`,
    });
  }
  const kind = valueAt(written, ['kind']);
  if (!KINDS.some((known) => known === kind)) {
    const meant = typeof kind === 'string' ? closest(kind, KINDS, 4) : undefined;
    const hint = meant ? `; did you mean ${meant}?` : '';
    complaints.push({ path: ['kind'], message: `unknown kind; known are ${KINDS.join(', ')}${hint}` });
  }
  return complaints;
}

/** `complaints` less those that a better one has answered already. */
function without(complaints: readonly Complaint[], answered: readonly Complaint[]): readonly Complaint[] {
  const paths = new Set(answered.map(({ path }) => formatPath(path)));
  const parents = new Set(answered.map(({ path }) => formatPath(path.slice(0, -1))));
  return complaints.filter(({ path, message }) => {
    // A misspelt kind is an unknown field, and then also "none of the kinds": the first says more.
    if (message.startsWith(EXACTLY_ONE) && parents.has(formatPath(path))) return false;
    return !paths.has(formatPath(path));
  });
}

function unique(problems: readonly Problem[]): readonly Problem[] {
  const byText = new Map(problems.map((problem) => [formatProblem(problem), problem]));
  return [...byText.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** The parser's own messages quote the text, so only its code and a few words of ours are shown. */
function syntaxProblem(error: YAMLError, file: string, lines: LineCounter): Problem {
  const known: Readonly<Record<string, string>> = {
    BAD_INDENT: 'is indented wrongly',
    DUPLICATE_KEY: 'the same field is written twice',
    TAB_AS_INDENT: 'is indented by a tab: use spaces',
    MISSING_CHAR: 'a closing quote or bracket is missing',
    BAD_ALIAS: 'has an alias without an anchor',
  };
  const message = known[error.code] ?? `is not valid YAML (${error.code})`;
  return { file, ...placeAt(lines, error.pos[0]), field: '', message };
}
