import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { ReportLine, Written } from '../import/draft.ts';
import type { Import } from '../import/import.ts';
import { writeFiles } from '../import/write-files.ts';
import { tableOf } from './output.ts';

interface Where {
  readonly directory?: string;
  readonly namespace: string;
  readonly dryRun?: boolean;
}

interface ObjectFlags {
  readonly file?: readonly string[];
  readonly context?: string;
  readonly from?: string;
}

/** `rotor import ...`: manifests to start from, out of what exists; nothing is changed there. */
export function registerImportCommands(program: Command): void {
  const parent = program
    .command('import')
    .description('Write manifests to start from, out of what exists; changes nothing there');

  const add = (name: string, description: string) =>
    parent
      .command(name)
      .description(description)
      .option('-d, --directory <dir>', 'one file for each policy there; standard output when absent')
      .option('-n, --namespace <namespace>', 'namespace of the manifests', 'default')
      .option('--dry-run', 'only the report')
      .exitOverride();

  add('aws', 'Secrets that AWS Secrets Manager rotates')
    .option('--region <region>', 'else AWS_REGION, else the profile’s')
    .option('--profile <profile>', 'of the shared configuration files')
    .option('--prefix <prefix>', 'only secrets whose names begin so')
    .option('--read-values', 'read the secrets for engine, host and user; no password is kept')
    .action(async (options: Where & Record<string, string | boolean | undefined>) => {
      const { importAws } = await import('../import/aws/import.ts');
      const { region, profile, prefix, readValues } = options as Record<string, string | undefined>;
      const { knownKinds } = await import('./manifest-files.ts');
      const kinds = knownKinds().rotators.map(({ kind }) => kind);
      await put(
        await importAws({ region, profile, prefix, readValues: Boolean(readValues) }, kinds),
        options,
      );
    });

  add('vault', 'Static roles of the database engine of HashiCorp Vault or OpenBao')
    .option('--address <url>', 'else VAULT_ADDR')
    .option('--vault-namespace <namespace>', 'else VAULT_NAMESPACE')
    .option('--token-file <file>', 'token that reads them; ~/.vault-token when absent')
    .option('--mount <path>', 'where the engine is mounted', 'database')
    .option('--kv-mount <path>', 'KV version 2 engine in which Rotor shall keep versions', 'secret')
    .option('--kubernetes-role <role>', 'as which the workers log in; open when absent')
    .action(async (options: Where & Record<string, string | undefined>) => {
      const { importVault } = await import('../import/vault/import.ts');
      const { address = process.env.VAULT_ADDR, vaultNamespace = process.env.VAULT_NAMESPACE } = options;
      const {
        tokenFile = join(homedir(), '.vault-token'),
        mount = '',
        kvMount = '',
        kubernetesRole,
      } = options;
      const place = { address: address ?? '', namespace: vaultNamespace, mount, kvMount, kubernetesRole };
      await put(await importVault({ ...place, tokenFile: resolve(tokenFile) }), options);
    });

  const addObjects = (name: string, description: string) =>
    add(name, description)
      .option('-f, --file <path...>', 'YAML files instead of the cluster')
      .option('--context <context>', 'of the kubeconfig; the current one when absent')
      .option('--from <namespace>', 'of the cluster; all when absent');
  addObjects('external-secrets', 'What External Secrets copies, and who reads the copies').action(
    async ({ file, ...options }: Where & ObjectFlags) => {
      const { importExternalSecrets } = await import('../import/kubernetes/external-secrets.ts');
      const { knownKinds } = await import('./manifest-files.ts');
      const kinds = knownKinds().stores.map(({ kind }) => kind);
      await put(await importExternalSecrets({ files: file, ...options }, kinds), options);
    },
  );
  addObjects(
    'annotations',
    'Secrets of workloads with annotations of Reloader or Vault’s agent, and SealedSecrets',
  ).action(async ({ file, ...options }: Where & ObjectFlags) => {
    const { importAnnotations } = await import('../import/kubernetes/annotations.ts');
    await put(await importAnnotations({ files: file, ...options }), options);
  });
}

async function put({ found, shared, remarks }: Import, { directory, namespace, dryRun }: Where) {
  const { written } = await import('../import/draft.ts');
  const { manifestSchemas } = await import('../manifests/schemas.ts');
  const { knownKinds } = await import('./manifest-files.ts');
  const result = written(found, shared, namespace, manifestSchemas(knownKinds()));
  if (directory === undefined && !dryRun)
    process.stdout.write(result.files.map(({ text }) => text).join('---\n'));
  const kept = directory !== undefined && !dryRun ? await writeFiles(directory, result.files) : [];
  process.stderr.write(`${reportOf(result, remarks, kept)}\n`);
}

function reportOf({ report }: Written, remarks: readonly string[], kept: readonly string[]): string {
  const row = ({ found, result, manifest, why }: ReportLine) => [
    found,
    result,
    manifest,
    why.join('\n') || '-',
  ];
  const lines = report.length > 0 ? [tableOf(['found', 'result', 'manifest', 'why'], report.map(row))] : [];
  const count = (wanted: ReportLine['result']) => report.filter(({ result }) => result === wanted).length;
  return [
    ...lines,
    `${count('imported')} imported, ${count('partly')} partly, ${count('not mapped')} not mapped`,
    ...remarks,
    ...kept.map((name) => `${name} was there already and is left as it is`),
  ].join('\n');
}
