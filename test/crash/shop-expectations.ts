import { expect } from 'vitest';
import type { Rotation } from '../../ledger/rotations.ts';
import type { Shop } from './shop.ts';

export async function expectMoved(shop: Shop, { newVersion = '' }: Rotation, story: string): Promise<void> {
  const { identity } = shop.current;
  await expectOn(shop, newVersion, story);
  expect(shop.world.accepted.get(identity), story).toBeNull();
  shop.current = { version: newVersion, identity: other(identity) };
}

export async function expectUntouched(
  shop: Shop,
  { newVersion = '' }: Rotation,
  story: string,
): Promise<void> {
  await expectOn(shop, shop.current.version, story);
  expect(shop.world.accepted.get(other(shop.current.identity)), story).toBeNull();
  expect([...shop.world.versions.keys()], story).not.toContain(newVersion);
}

const other = (identity: string) => (identity === 'blue' ? 'green' : 'blue');

/** Pods, Secret, Service and store on one version, and nothing left behind. */
async function expectOn(shop: Shop, version: string, story: string): Promise<void> {
  expect(shop.world.broken, story).toEqual([]);
  expect(shop.refusedAtStart, story).toEqual([]);
  expect(shop.world.currentVersion(), story).toBe(version);
  await expect
    .poll(() => shop.held().map((held) => held.version), { message: story, timeout: 10_000 })
    .toEqual([version]);
  const secret = await shop.read('v1', 'Secret', 'db');
  expect(Buffer.from(secret.data.version, 'base64').toString(), story).toBe(version);
  const service = await shop.read('v1', 'Service', 'web');
  expect(service.spec.selector, story).toEqual({ app: 'web' });
  expect(await shop.deployments(), story).toEqual(['web']);
}
