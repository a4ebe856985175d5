import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type ZipOptions, zipSync } from 'fflate';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * The same content always makes the same bytes: the time is the earliest that a zip knows. Lambda keeps the mode: regular
 * files that everybody may read, made on Unix.
 */
const ZIP: ZipOptions = { level: 9, mtime: new Date(1980, 0, 1), os: 3, attrs: (0o100644 << 16) >>> 0 };

/**
 * One function as a zip for Lambda's runtime nodejs24.x, handler `index.handler`: one ES module and the licences of what is
 * in it. The AWS SDK is part of the runtime and is left out.
 * @param kind folder under functions/
 */
export async function bundleFunction(kind: string): Promise<Buffer> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [`functions/${kind}/function.ts`],
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    outfile: 'index.mjs',
    external: ['@aws-sdk/*', 'pg-native', 'pg-cloudflare'],
    legalComments: 'none',
    // What is CommonJS among the dependencies asks for Node's own modules by require.
    banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
  const [bundle] = outputFiles;
  if (!bundle) throw new Error(`esbuild made nothing of functions/${kind}`);
  const licences = Buffer.from(licencesOf(Object.keys(metafile.inputs)));
  return Buffer.from(zipSync({ 'index.mjs': bundle.contents, 'LICENSES.txt': licences }, ZIP));
}

/** Of every package that a file came from, and of this project. */
function licencesOf(inputs: readonly string[]): string {
  const folders = new Set(
    inputs.flatMap((file) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []),
  );
  const texts = ['.', ...[...folders].toSorted()].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
    const file = readdirSync(join(ROOT, folder)).find((each) => /^licen[cs]e(\.|$)/i.test(each));
    const text =
      file && existsSync(join(ROOT, folder, file)) ? readFileSync(join(ROOT, folder, file), 'utf8') : '';
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n`);
}
