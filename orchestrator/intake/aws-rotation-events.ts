import { z } from 'zod';
import { instantOf, maybeWord, readJson, word } from './reading.ts';
import type { Message, RotationRequest } from './report.ts';

const text = z.string().nullish();

/** What EventBridge puts around what happened (docs.aws.amazon.com, "AWS service event metadata"). */
const envelope = z.object({ id: text, account: text, region: text, time: text });

/** A record of CloudTrail about a call of Secrets Manager ("CloudTrail record contents"). */
const record = z.object({
  eventName: z.string(),
  eventID: text,
  eventTime: text,
  awsRegion: text,
  recipientAccountId: text,
  errorCode: text,
  userIdentity: z
    .object({
      arn: text,
      sessionContext: z.object({ sessionIssuer: z.object({ arn: text }).nullish() }).nullish(),
    })
    .nullish(),
  requestParameters: z.object({ secretId: text, rotateImmediately: z.boolean().nullish() }).nullish(),
  responseElements: z.object({ arn: text, aRN: text, name: text }).nullish(),
});

/** `Parameter Store Policy Action` ("Reference: EventBridge event patterns and types for Systems Manager"). */
const policyAction = z.object({ 'parameter-name': z.string(), 'policy-type': z.string() });

/** Refused since no function of AWS rotates the secret: the request stands, and Rotor is who answers it. */
const NO_FUNCTION = 'InvalidRequestException';

/** Roles and users whose requests are none, by ARN. */
export const ignoreFrom = z
  .array(z.string().regex(/^arn:aws[a-z-]*:(iam|sts)::\d{12}:.+$/, 'must be the ARN of a role or user'))
  .max(100)
  .default([])
  .describe('Roles and users whose requests to rotate are ignored, Rotor’s own for instance');

/**
 * `RotateSecret` as CloudTrail tells of it.
 * @param event as EventBridge sends it @throws RotorError `hook.malformed`
 */
export function fromSecretsManager(
  event: Buffer,
  detail: Buffer,
  deliveryId: string,
  ignored: readonly string[],
): Message {
  const around = readJson(event, envelope);
  const found = readJson(detail, record);
  const nothing = (why: string): Message => ({ kind: 'nothing', deliveryId, why });
  const { requestParameters: asked, responseElements: answered, userIdentity } = found;
  if (found.eventName !== 'RotateSecret') return nothing(`call ${word(found.eventName)}`);
  if (asked?.rotateImmediately === false) return nothing('RotateSecret that only changes the schedule');
  if (found.errorCode && found.errorCode !== NO_FUNCTION)
    return nothing(`RotateSecret that was refused: ${word(found.errorCode)}`);
  const by = [userIdentity?.sessionContext?.sessionIssuer?.arn, userIdentity?.arn].flatMap(
    (arn) => maybeWord(arn) ?? [],
  );
  if (by.some((arn) => ignored.includes(arn))) return nothing(`RotateSecret by ${by[0]}, which is ignored`);
  const said = [answered?.name, answered?.arn, answered?.aRN, asked?.secretId].flatMap((each) =>
    typeof each === 'string' ? [each] : [],
  );
  const arn = said.map(partsOf).find((parts) => parts !== undefined);
  const names = [...new Set(said.flatMap(namesOf))];
  if (names.length === 0) return nothing('RotateSecret that names no secret');
  const id = word(around.id ?? found.eventID, deliveryId);
  return one(deliveryId, {
    storeKind: 'awsSecretsManager',
    names,
    within: within(
      arn?.region ?? found.awsRegion ?? around.region,
      arn?.account ?? found.recipientAccountId ?? around.account,
    ),
    type: 'RotateSecret',
    reference: `event ${id}`,
    key: `aws:${id}`,
    at: instantOf(found.eventTime ?? around.time),
    by: by[0],
  });
}

/** A parameter that expires soon, or wasn't changed for as long as its own policy says. @throws RotorError `hook.malformed` */
export function fromParameterStore(event: Buffer, detail: Buffer, deliveryId: string): Message {
  const around = readJson(event, envelope.extend({ 'detail-type': text }));
  if (around['detail-type'] !== 'Parameter Store Policy Action')
    return { kind: 'nothing', deliveryId, why: `event ${word(around['detail-type'])}` };
  const found = readJson(detail, policyAction);
  const type = word(found['policy-type']);
  const name = parameterName(found['parameter-name']);
  if (!['ExpirationNotification', 'NoChangeNotification'].includes(type) || name === undefined)
    return { kind: 'nothing', deliveryId, why: `parameter policy ${type}` };
  const id = word(around.id, deliveryId);
  return one(deliveryId, {
    storeKind: 'awsParameterStore',
    names: [name],
    within: within(around.region, around.account),
    type,
    reference: `event ${id}`,
    key: `aws:${id}`,
    at: instantOf(around.time),
  });
}

function one(deliveryId: string, request: RotationRequest): Message {
  return { kind: 'rotations', deliveryId, requests: [request] };
}

function within(region: string | null | undefined, account: string | null | undefined) {
  const [here, whose] = [maybeWord(region), maybeWord(account)];
  return { ...(here ? { region: here } : {}), ...(whose ? { account: whose } : {}) };
}

const ARN = /^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]{1,40}):(\d{12}):secret:([\w/+=.@-]{1,520})$/;

function partsOf(said: string): { region: string; account: string } | undefined {
  const [, region = '', account = ''] = ARN.exec(said) ?? [];
  return region === '' ? undefined : { region, account };
}

/** An ARN ends with six characters that aren't part of the name, but may be given without them. */
function namesOf(said: string): readonly string[] {
  const name = ARN.exec(said)?.[3];
  if (name !== undefined) return [name.replace(/-[A-Za-z0-9]{6}$/, ''), name];
  return /^[\w/+=.@-]{1,512}$/.test(said) ? [said] : [];
}

function parameterName(said: string): string | undefined {
  return /^\/?[\w./-]{1,1011}$/.test(said) ? said : undefined;
}
