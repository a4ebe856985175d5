import { z } from 'zod';
import { assertBearer } from '../proof.ts';
import { instantOf, readJson, word } from '../reading.ts';
import type { RotationRequest } from '../report.ts';
import { secretsFrom } from '../settings.ts';
import type { HookSource } from '../source.ts';

const settings = z.strictObject({ secretsFrom });

const body = z
  .array(
    z.object({
      id: z.string().max(200),
      eventType: z.string().max(200),
      subject: z.string().max(400).nullish(),
      eventTime: z.string().max(64).nullish(),
      data: z.record(z.string(), z.unknown()),
    }),
  )
  .min(1)
  .max(1_000);

const secret = z.object({ VaultName: z.string(), ObjectName: z.string() });

/**
 * Azure Event Grid: the validation handshake, and Key Vault's `SecretNearExpiry` and `SecretExpired` as a time to rotate.
 * Deliveries show a bearer token, set as a delivery property (`Authorization`) of the subscription; the handshake too.
 */
export const eventGrid: HookSource<z.output<typeof settings>> = {
  kind: 'eventGrid',
  settings,

  async verify(request, { secretsFrom: references }, around) {
    assertBearer(request, await around.secrets(references));
  },

  read(request) {
    const events = readJson(request.body, body);
    const first = events[0];
    if (first?.eventType === 'Microsoft.EventGrid.SubscriptionValidationEvent')
      return { kind: 'handshake', body: { validationResponse: word(first.data.validationCode, '') } };
    const deliveryId = events.map(({ id }) => word(id)).join(' ');
    const requests = events.flatMap((event): RotationRequest[] => {
      if (!/^Microsoft\.KeyVault\.Secret(NearExpiry|Expired)$/.test(event.eventType)) return [];
      const named = secret.safeParse(event.data);
      if (!named.success) return [];
      const { VaultName, ObjectName } = named.data;
      return [
        {
          storeKind: 'azureKeyVault',
          names: [word(ObjectName).toLowerCase()],
          within: { vault: word(VaultName).toLowerCase() },
          type: word(event.eventType),
          reference: `event ${word(event.id)}`,
          key: `azure:${word(event.id)}`,
          at: instantOf(event.eventTime),
        },
      ];
    });
    if (requests.length === 0) return { kind: 'nothing', deliveryId, why: `event ${word(first?.eventType)}` };
    return { kind: 'rotations', deliveryId, requests };
  },
};
