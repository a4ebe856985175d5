import { afterAll, beforeAll, describe } from 'vitest';
import { noCluster, startCluster, type TestCluster } from './cluster.ts';
import { deploymentPromises } from './deployment-promises.ts';
import { podPromises } from './pod-promises.ts';
import { servicePromises } from './service-promises.ts';
import { setPromises } from './set-promises.ts';
import { volumePromises } from './volume-promises.ts';

if (noCluster) process.stderr.write(`Suites of the sandbox's nodes are skipped: ${noCluster}\n`);

// One file, since two sets of controllers in one cluster would work against each other.
describe.skipIf(noCluster)('controllers and a node against an API server', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(async () => {
    await cluster?.stop();
  });
  describe('Deployment', () => deploymentPromises(() => cluster));
  describe('other sets', () => setPromises(() => cluster));
  describe('Services, budgets and jobs', () => servicePromises(() => cluster));
  describe('pod', () => podPromises(() => cluster));
  describe('volumes', () => volumePromises(() => cluster));
});
