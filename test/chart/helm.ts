import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';

export const CHART = fileURLToPath(new URL('../../charts/rotor', import.meta.url));
/** Helm without a cluster assumes one of its own age. */
export const KUBE = ['--kube-version', '1.36.0'];
export const EVERYTHING = fileURLToPath(new URL('everything.yaml', import.meta.url));

/** An object as the chart renders it. Tests look at single fields of arbitrary objects. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly [field: string]: any;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real Helm; `scripts/helm.sh` builds it. Why the suite is skipped, when it isn't there. */
export function helmMissing(): string | undefined {
  if (process.env.ROTOR_TEST_HELM) return undefined;
  return 'ROTOR_TEST_HELM names no helm: export ROTOR_TEST_HELM="$(scripts/helm.sh)"';
}

/** Says on standard error why a suite is skipped. */
export function skippedWithoutHelm(suite: string): boolean {
  const missing = helmMissing();
  if (missing) process.stderr.write(`${suite} is skipped: ${missing}\n`);
  return missing !== undefined;
}

/** Runs helm without anything of this machine's own configuration. */
export function helm(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const home = join(tmpdir(), `rotor-helm-${process.pid}`);
  const own = {
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_DATA_HOME: join(home, 'data'),
  };
  return new Promise((resolve) => {
    const options = {
      env: { PATH: process.env.PATH, HOME: home, ...own, ...env },
      maxBuffer: 16 * 1024 * 1024,
    };
    execFile(process.env.ROTOR_TEST_HELM ?? 'helm', [...args], options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr });
    });
  });
}

/** Writes values to a file for the time of `work`. */
export async function withValues<T>(values: object, work: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-values-'));
  try {
    const file = join(folder, 'values.yaml');
    await writeFile(file, stringify(values));
    return await work(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface RenderOptions {
  readonly values?: object;
  /** With every switch on, below `values`. */
  readonly everything?: boolean;
  readonly namespace?: string;
}

/** Renders the chart. @returns what helm answered, whether or not it did */
export function template({ values = {}, everything = false, namespace = 'rotor' }: RenderOptions = {}) {
  const base = everything ? ['--values', EVERYTHING] : [];
  return withValues(values, (file) =>
    helm(['template', 'rotor', CHART, ...KUBE, '--namespace', namespace, ...base, '--values', file]),
  );
}

/** What the chart renders, object by object. @throws Error with helm's own words when it doesn't */
export async function render(options: RenderOptions = {}): Promise<readonly Rendered[]> {
  const { code, stdout, stderr } = await template(options);
  if (code !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout).flatMap((document) => {
    if ('errors' in document && document.errors.length > 0) throw document.errors[0];
    const object = document.toJS();
    return object ? [object as Rendered] : [];
  });
}

/** Objects of one kind. */
export function ofKind(objects: readonly Rendered[], kind: string): readonly Rendered[] {
  return objects.filter((object) => object.kind === kind);
}

/** The one object of a kind whose name ends like that. */
export function the(objects: readonly Rendered[], kind: string, ending = ''): Rendered {
  const found = ofKind(objects, kind).filter(({ metadata }) => metadata.name.endsWith(ending));
  const [one] = found;
  if (!one || found.length > 1) throw new Error(`${found.length} objects of kind ${kind} named *${ending}`);
  return one;
}

/** The pod templates of everything that runs pods. */
export function podsOf(objects: readonly Rendered[]): readonly { name: string; template: Rendered }[] {
  return objects.flatMap(({ kind, metadata, spec }) =>
    spec?.template ? [{ name: `${kind} ${metadata.name}`, template: spec.template }] : [],
  );
}
