import { z } from 'zod';
import { fromParameterStore, fromSecretsManager } from './aws-rotation-events.ts';
import { maybeWord, readJson, word } from './reading.ts';
import type { Message, Severity } from './report.ts';

const text = z.string().nullish();

const event = z.object({
  id: text,
  source: z.string(),
  'detail-type': text,
  detail: z.record(z.string(), z.unknown()),
});

const finding = z.object({
  type: z.string(),
  id: text,
  severity: z.number().nullish(),
  resource: z
    .object({ accessKeyDetails: z.object({ accessKeyId: text, userName: text }).nullish() })
    .nullish(),
});

const health = z.object({
  eventTypeCode: z.string(),
  eventArn: text,
  affectedEntities: z
    .array(z.object({ entityValue: z.string() }))
    .max(1_000)
    .nullish(),
});

/** What is to be left alone of what events tell. */
export interface AwsEventSettings {
  readonly ignoreFrom: readonly string[];
}

/**
 * An EventBridge event: `RotateSecret` or a parameter's own policy as a request for a rotation; a GuardDuty finding (`aws.guardduty`) about an access key, or AWS Health's
 * `AWS_RISK_CREDENTIALS_EXPOSED`, whose affected entities are the ids of the keys.
 */
export function readAwsEvent(
  message: string,
  deliveryId: string,
  { ignoreFrom }: AwsEventSettings = { ignoreFrom: [] },
): Message {
  if (!message.trimStart().startsWith('{')) return { kind: 'nothing', deliveryId, why: 'no event in it' };
  const whole = Buffer.from(message);
  const { source, detail } = readJson(whole, event);
  const bytes = Buffer.from(JSON.stringify(detail));
  if (source === 'aws.guardduty') return fromFinding(readJson(bytes, finding), deliveryId);
  if (source === 'aws.health') return fromHealth(readJson(bytes, health), deliveryId);
  if (source === 'aws.secretsmanager') return fromSecretsManager(whole, bytes, deliveryId, ignoreFrom);
  if (source === 'aws.ssm') return fromParameterStore(whole, bytes, deliveryId);
  return { kind: 'nothing', deliveryId, why: `event of ${word(source)}` };
}

function fromFinding(found: z.output<typeof finding>, deliveryId: string): Message {
  const key = found.resource?.accessKeyDetails;
  const type = word(found.type);
  const accessKeyId = maybeWord(key?.accessKeyId);
  if (accessKeyId === undefined) return { kind: 'nothing', deliveryId, why: `finding ${type} names no key` };
  return {
    kind: 'reports',
    deliveryId,
    reports: [
      {
        about:
          type.includes('CredentialExfiltration') || type.includes('CredentialAccess') ? 'leak' : 'suspicion',
        type,
        reference: `finding ${word(found.id)}`,
        found: [],
        hints: { accessKeyId, identity: maybeWord(key?.userName) },
        severity: findingSeverity(found.severity ?? 5),
        validity: 'active',
        exposure: 'unknown',
      },
    ],
  };
}

/** GuardDuty's own bands: 1 to 3.9 low, to 6.9 medium, to 8.9 high, above critical. */
function findingSeverity(severity: number): Severity {
  if (severity >= 9) return 'critical';
  if (severity >= 7) return 'high';
  return severity >= 4 ? 'medium' : 'low';
}

function fromHealth(found: z.output<typeof health>, deliveryId: string): Message {
  const type = word(found.eventTypeCode);
  const keys = (found.affectedEntities ?? []).flatMap(({ entityValue }) => maybeWord(entityValue) ?? []);
  if (found.eventTypeCode !== 'AWS_RISK_CREDENTIALS_EXPOSED' || keys.length === 0)
    return { kind: 'nothing', deliveryId, why: `health event ${type}` };
  return {
    kind: 'reports',
    deliveryId,
    reports: keys.map((accessKeyId) => ({
      about: 'leak',
      type,
      reference: word(found.eventArn),
      found: [],
      hints: { accessKeyId },
      severity: 'critical',
      validity: 'active',
      exposure: 'public',
    })),
  };
}
