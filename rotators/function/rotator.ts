import { z } from 'zod';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { secretIn } from '../../core/secret-file.ts';
import type { Opening, Rotator } from '../rotator.ts';
import { DirectSession } from './direct-session.ts';
import { httpInvoker } from './http.ts';
import { type Invoker, ownLimit } from './invoke.ts';
import { lambdaInvoker } from './lambda.ts';
import { type ProgramSpec, processInvoker } from './process.ts';
import { pythonProgram } from './python.ts';
import type { LoanKey } from './secret-desk.ts';
import { FunctionSession, formatOf } from './session.ts';
import { type CredentialSpec, credentialSpec, type ProviderSpec, providerSpec } from './spec.ts';
import { Steps } from './steps.ts';

/** Until the function's answer has come and what it changed is looked at. */
const TO_ANSWER_MS = 2_000;

/**
 * Credentials that a rotation function of somebody else changes: one of AWS Lambda, one behind an HTTP address, or a program
 * beside the worker. docs/functions.md.
 */
export const functionRotator: Rotator<ProviderSpec, CredentialSpec> = {
  kind: 'function',
  provider: providerSpec,
  credential: credentialSpec,
  open: (provider, credential, opening) => {
    if (!provider)
      throw new RotorError('manifest.invalid', { what: 'a function credential needs a provider' });
    if (!opening) {
      throw new RotorError('provider.unsupported', {
        what: 'this process does not let functions of others work: it has no API for them',
        hint: 'Let the workers of Rotor do it.',
      });
    }
    const invoker = invokerOf(provider, opening);
    const { signingKeyFile, adminSecretFile, timeout } = provider;
    // Whether a credential is refused takes up to three steps to find out, and killing one two more.
    const callMs = 5 * timeout + TO_ANSWER_MS;
    if (credential.mode !== 'new-key' && credential.secretId !== undefined) {
      if (!provider.lambda && !provider.http) {
        throw new RotorError('manifest.invalid', {
          what: '`secretId` is for functions that work on AWS Secrets Manager with a role of their own',
          hint: 'Leave `secretId` out for a program here: Rotor serves it the API.',
        });
      }
      const spec = { ...credential, secretId: credential.secretId };
      return new DirectSession(spec, {
        invoker,
        format: formatOf(credential),
        timeoutMs: timeout,
        callMs,
        lingersMs: timeout,
      });
    }
    const steps = new Steps({
      desk: opening.desk,
      invoker,
      format: formatOf(credential),
      timeoutMs: timeout,
      key: async () => (signingKeyFile === undefined ? undefined : keyIn(signingKeyFile)),
      admin: async () =>
        adminSecretFile === undefined ? undefined : secretIn(adminSecretFile, 'adminSecretFile'),
    });
    return new FunctionSession(credential, {
      name: invoker.name,
      steps,
      desk: opening.desk,
      callMs,
      // What runs here is killed when its time is over.
      ...(provider.lambda || provider.http ? { lingersMs: timeout } : {}),
      ownLimit: (call) => ownLimit(call, invoker, timeout),
    });
  },
};

function invokerOf({ lambda, http, command, python, timeout }: ProviderSpec, opening: Opening): Invoker {
  if (lambda) return lambdaInvoker(lambda);
  if (http) return httpInvoker(http);
  const program: ProgramSpec | undefined = python ? pythonProgram(python, timeout) : command;
  if (!program) throw new RotorError('manifest.invalid', { what: 'a function provider names no function' });
  // The runtime is Rotor's own: what counts is which interpreter runs which file.
  const named = python ? [python.interpreter, python.file] : program.run;
  return processInvoker(`function ${python ? python.file : program.run[0]}`, program, () =>
    opening.assertAllowed(named),
  );
}

const key = z.strictObject({
  accessKeyId: z.string().regex(/^\w{16,128}$/),
  secretAccessKey: z.string().min(16),
});

async function keyIn(file: string): Promise<LoanKey> {
  const text = await secretIn(file, 'signingKeyFile');
  let content: unknown;
  try {
    content = JSON.parse(text.reveal());
  } catch {
    // The parser's message would quote the file.
  }
  const parsed = key.safeParse(content);
  if (!parsed.success) {
    throw new RotorError('config.invalid', {
      what: `${file}: needs {"accessKeyId": ..., "secretAccessKey": ...}, each of 16 characters at least`,
    });
  }
  const { accessKeyId, secretAccessKey } = parsed.data;
  return { accessKeyId, secretAccessKey: SecretValue.of(secretAccessKey) };
}
