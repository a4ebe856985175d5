import { z } from 'zod';
import type { Random } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Doing, Loan } from '../../rotators/function/secret-desk.ts';
import { randomPassword, randomPasswordRequest } from './random-password.ts';
import { ApiRefusal, notFound } from './refusal.ts';
import type { Label, Versions } from './versions.ts';

/** What an operation works on: the loan of the invocation, and its secret. */
export interface Desk {
  readonly loan: Loan;
  readonly versions: Versions;
  /** ARN and name of the secret. */
  readonly arn: string;
  readonly name: string;
  readonly random: Random;
  /** Told of values that were handed out, and of the one that was put. */
  readonly handed: (value: SecretValue) => void;
  readonly put: (document: SecretValue) => void;
}

type Answer = Readonly<Record<string, unknown>>;
type Operation = (desk: Desk, request: unknown) => Promise<Answer>;

const READING = ['DescribeSecret', 'GetSecretValue', 'ListSecretVersionIds', 'GetRandomPassword'] as const;
/** What a step may do. */
export const GRANTED: Readonly<Record<Doing, readonly string[]>> = {
  read: READING,
  create: [...READING, 'PutSecretValue'],
  finish: [...READING, 'UpdateSecretVersionStage'],
};

const id = z.string().min(1).max(2_048);
const versionId = z.string().min(1).max(64);

const getRequest = z.object({ SecretId: id, VersionId: versionId.optional(), VersionStage: id.optional() });
const putRequest = z.object({
  SecretId: id,
  ClientRequestToken: versionId,
  SecretString: z.string().min(1).max(65_536).optional(),
  SecretBinary: z.unknown().optional(),
  VersionStages: z.array(z.string()).optional(),
});
const moveRequest = z.object({
  SecretId: id,
  VersionStage: id,
  MoveToVersionId: versionId.optional(),
  RemoveFromVersionId: versionId.optional(),
});
const ofSecret = z.object({ SecretId: id });

/** The operations that rotation functions call, by their names in AWS's API reference. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  async DescribeSecret(desk, request) {
    own(desk, parsed(ofSecret, request));
    const labels = await desk.versions.labels();
    return {
      ARN: desk.arn,
      Name: desk.name,
      RotationEnabled: true,
      VersionIdsToStages: Object.fromEntries(labels),
    };
  },

  async GetSecretValue(desk, request) {
    const asked = parsed(getRequest, request);
    const { other } = desk.loan;
    if (other && asked.SecretId === other.secretId) {
      if ((asked.VersionStage ?? 'AWSCURRENT') !== 'AWSCURRENT' || asked.VersionId !== undefined)
        throw notFound(`staging label: ${asked.VersionStage ?? asked.VersionId}`);
      desk.handed(other.document);
      return {
        ARN: other.secretId,
        Name: other.secretId,
        SecretString: other.document.reveal(),
        VersionStages: ['AWSCURRENT'],
      };
    }
    own(desk, asked);
    const labels = await desk.versions.labels();
    const stage = asked.VersionStage ?? (asked.VersionId === undefined ? 'AWSCURRENT' : undefined);
    const found = asked.VersionId ?? [...labels].find(([, held]) => held.includes(stage as Label))?.[0];
    const missing = stage === undefined ? `VersionId: ${asked.VersionId}` : `staging label: ${stage}`;
    if (found === undefined) throw notFound(missing);
    const held = labels.get(found) ?? [];
    if (stage !== undefined && !held.includes(stage as Label)) throw notFound(missing);
    // Versions without a label are none of the function's business.
    const document = held.length > 0 ? await desk.versions.read(found) : undefined;
    if (!document) throw notFound(missing);
    desk.handed(document);
    return {
      ARN: desk.arn,
      Name: desk.name,
      VersionId: found,
      SecretString: document.reveal(),
      VersionStages: held,
    };
  },

  async ListSecretVersionIds(desk, request) {
    own(desk, parsed(ofSecret, request));
    const labels = await desk.versions.labels();
    return {
      ARN: desk.arn,
      Name: desk.name,
      Versions: [...labels].map(([VersionId, VersionStages]) => ({ VersionId, VersionStages })),
    };
  },

  async GetRandomPassword(desk, request) {
    const password = randomPassword(parsed(randomPasswordRequest, request), desk.random);
    desk.handed(password);
    return { RandomPassword: password.reveal() };
  },

  async PutSecretValue(desk, request) {
    const asked = parsed(putRequest, request);
    own(desk, asked);
    const { token } = desk.loan;
    if (asked.ClientRequestToken !== token)
      throw invalid('ClientRequestToken must be the one of the rotation event.');
    if (asked.VersionStages?.join() !== 'AWSPENDING')
      throw invalid('VersionStages must be ["AWSPENDING"]: finishSecret makes it current.');
    if (asked.SecretString === undefined) throw invalid('You must provide SecretString: Rotor keeps text.');
    const document = SecretValue.of(asked.SecretString);
    desk.handed(document);
    const known = await desk.versions.read(token);
    if (known && !known.equals(document)) {
      throw new ApiRefusal(
        'ResourceExistsException',
        `You can't use ClientRequestToken ${token} because that value is already in use for a version of secret ${desk.arn}.`,
      );
    }
    await desk.versions.put(token, document);
    desk.put(document);
    return { ARN: desk.arn, Name: desk.name, VersionId: token, VersionStages: ['AWSPENDING'] };
  },

  async UpdateSecretVersionStage(desk, request) {
    const asked = parsed(moveRequest, request);
    own(desk, asked);
    const { token, expected } = desk.loan;
    const labels = await desk.versions.labels();
    const isCurrent = labels.get(token)?.includes('AWSCURRENT') === true;
    const done = { ARN: desk.arn, Name: desk.name };
    // AWSPENDING goes by itself when the version becomes current; some functions take it away on top.
    if (asked.VersionStage === 'AWSPENDING' && asked.MoveToVersionId === undefined && isCurrent) return done;
    if (asked.VersionStage !== 'AWSCURRENT' || asked.MoveToVersionId !== token)
      throw invalid('Only AWSCURRENT can be moved, and only to the version of the rotation event.');
    if (isCurrent) return done;
    const current = [...labels].find(([, held]) => held.includes('AWSCURRENT'))?.[0];
    if (current !== asked.RemoveFromVersionId) {
      throw invalid(
        `The staging label AWSCURRENT is currently attached to version ${current}, so you must explicitly reference that version in RemoveFromVersionId.`,
      );
    }
    // With `expected` the store refuses when somebody else has moved the label since the rotation began.
    await desk.versions.moveCurrent(token, expected ?? current);
    return done;
  },
};

function own({ arn, name }: Desk, { SecretId }: { readonly SecretId: string }): void {
  if (SecretId !== arn && SecretId !== name) throw notFound();
}

function parsed<Schema extends z.ZodType>(schema: Schema, request: unknown): z.output<Schema> {
  const result = schema.safeParse(request);
  if (result.success) return result.data;
  const fields = result.error.issues.map(({ path, message }) => `${path.join('.') || 'request'}: ${message}`);
  throw invalid(fields.join('; '));
}

function invalid(message: string): ApiRefusal {
  return new ApiRefusal('InvalidParameterException', message);
}
