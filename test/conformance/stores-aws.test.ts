import { expect } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { denied, INTERNAL, THROTTLED } from '../doubles/aws/front.ts';
import {
  a,
  at,
  b,
  c,
  current,
  onAws,
  parameterWithAAndB,
  path,
  promise,
  text,
  thrownBy,
  withAAndB,
  withoutPauses,
} from './stores-aws-home.ts';
import { callWith } from './stores-calls.ts';

onAws('both of AWS');

for (const { kind, make, put, promoteBy, service } of [
  {
    kind: 'awsSecretsManager',
    make: withAAndB,
    put: 'PutSecretValue',
    promoteBy: 'UpdateSecretVersionStage',
    service: 'secretsmanager',
  },
  {
    kind: 'awsParameterStore',
    make: parameterWithAAndB,
    put: 'PutParameter',
    promoteBy: 'LabelParameterVersion',
    service: 'ssm',
  },
] as const) {
  promise(`${kind}: throttled calls are sent again, and no more than the deadline allows`, async () => {
    const { store } = await make();
    at.front.answer(put, THROTTLED, 2);
    await store.stage(callWith(1n), path, c, text('c'));
    expect(at.front.seen.filter((each) => each.startsWith(put)).slice(0, 3)).toEqual([
      `${put} ThrottlingException`,
      `${put} ThrottlingException`,
      `${put} 200`,
    ]);
    at.front.seen.length = 0;
    at.front.answer(promoteBy, THROTTLED, 1_000);
    const error = await thrownBy(store.promote(withoutPauses(900), path, c, a));
    expect(error).toMatchObject({ code: 'store.throttled', kind: 'retryable' });
    // Pauses grow; the first one that is longer than the time left is not begun.
    const throttled = at.front.seen.filter((each) => each === `${promoteBy} ThrottlingException`);
    expect(throttled.length).toBeGreaterThan(2);
    expect(throttled.length).toBeLessThan(6);
    expect(await current(store)).toBe(a);
  });

  promise(`${kind}: a missing permission is named, with the resource that AWS names`, async () => {
    const { store } = await make();
    const arn = `arn:aws:${service}:eu-central-1:123456789012:thing/shop/app`;
    at.front.answer(put, denied(`${service}:${put}`, arn));
    const error = await thrownBy(store.stage(callWith(1n), path, c, text('c')));
    expect(error).toMatchObject({ code: 'store.permission-denied', kind: 'terminal' });
    expect(error?.message).toContain(`the workers lack ${service}:${put} on ${arn}`);
    expect(error?.hint).toContain(`Allow ${service}:${put} on ${arn}`);
    at.front.answer(promoteBy, { type: 'AccessDeniedException', message: 'no' });
    const unnamed = await thrownBy(store.promote(callWith(1n), path, b, a));
    expect(unnamed?.message).toContain(`the workers lack ${service}:${promoteBy}`);
  });

  promise(`${kind}: a key that the workers may not use is named as such`, async () => {
    const { store } = await make();
    const message = 'Access to KMS is not allowed';
    at.front.answer(put, { type: 'AccessDeniedException', message });
    const error = await thrownBy(store.stage(callWith(1n), path, c, text('c')));
    expect(error?.message).toContain('the workers lack kms:Decrypt and kms:GenerateDataKey');
  });

  promise(`${kind}: credentials that AWS doesn't know are no reason to wait`, async () => {
    const { store } = await make();
    at.front.answer(put, {
      type: 'UnrecognizedClientException',
      message: 'The security token included in the request is invalid.',
    });
    const error = await thrownBy(store.stage(callWith(1n), path, c, text('c')));
    expect(error).toMatchObject({ code: 'store.refused', kind: 'terminal' });
  });

  for (const when of ['before', 'after'] as const) {
    promise(
      `${kind}: a connection cut ${when} the request was taken is probed, and the change is made once`,
      async () => {
        const { store } = await make();
        at.front.cut(put, when);
        await store.stage(callWith(1n), path, c, text('c'));
        const puts = at.front.seen.filter((each) => each.startsWith(put));
        expect(puts).toEqual(when === 'before' ? [`${put} cut`, `${put} 200`] : [`${put} cut`]);
        expect((await store.read(callWith(0n), path, 'pending'))?.document.equals(text('c'))).toBe(true);
        at.front.cut(promoteBy, when);
        await store.promote(callWith(1n), path, c, a);
        expect(await current(store)).toBe(c);
        expect((await store.read(callWith(0n), path, 'previous'))?.versionId).toBe(a);
      },
    );
  }

  promise(
    `${kind}: an error of AWS's own is probed too, and what stays unknown is told as unknown`,
    async () => {
      const { store } = await make();
      at.front.answer(promoteBy, INTERNAL);
      await store.promote(callWith(1n), path, b, a);
      expect(await current(store)).toBe(b);
      at.front.answer(promoteBy, INTERNAL, 1_000);
      const error = await thrownBy(store.promote(withoutPauses(30_000), path, a, b));
      expect(error).toMatchObject({ code: 'store.unavailable' });
      expect(await current(store)).toBe(b);
    },
  );

  promise(`${kind}: no error shows what was stored`, async () => {
    const { store } = await make();
    const marker = 'marker-7f3a';
    at.front.answer(put, {
      type: 'ValidationException',
      message: `Value '${marker}' failed to satisfy constraint`,
    });
    const error = await thrownBy(store.stage(callWith(1n), path, c, SecretValue.of(marker)));
    expect(error?.code).toBe('store.unavailable');
    expect(`${error?.message} ${error?.hint} ${error?.stack} ${JSON.stringify(error)}`).not.toContain(marker);
    expect(error?.cause).toBeUndefined();
  });
}
