import { cp, mkdir, rm, symlink } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import type { Pod } from '../controllers/client/wire.ts';
import { replaceFiles } from './atomic-folder.ts';
import type { Lookup, PodAddress } from './configuration.ts';
import type { Container } from './environment.ts';
import { expand } from './expansion.ts';
import { contentOfVolume, type Volume } from './volume-content.ts';

/** A pod's files on the node. */
export class PodFolder {
  readonly path: string;
  readonly #node: string;

  constructor(node: string, uid: string) {
    this.#node = node;
    this.path = join(node, 'pods', uid);
  }

  logFile(container: string): string {
    return join(this.path, 'logs', `${container}.log`);
  }

  /** Where a container finds what is mounted, since it shares the machine's file system. */
  root(container: string): string {
    return join(this.path, 'containers', container, 'root');
  }

  /**
   * Brings the volumes to what their sources say now.
   * @throws MissingConfiguration when a source doesn't exist and isn't optional
   */
  async writeVolumes(pod: Pod, lookup: Lookup, address: PodAddress): Promise<void> {
    await mkdir(join(this.path, 'logs'), { recursive: true, mode: 0o700 });
    for (const volume of pod.spec.volumes ?? []) {
      const folder = this.#volumeFolder(pod, volume);
      const content = contentOfVolume(volume, pod, lookup, address);
      if (content) await replaceFiles(folder, content);
      // Nothing is made among the machine's own files unless the pod asks for it.
      else if (!volume.hostPath || volume.hostPath.type === 'DirectoryOrCreate')
        await mkdir(folder, { recursive: true, mode: 0o755 });
    }
  }

  /** Links a container's mount paths to the volumes. A `subPath` is a copy: it never follows the source. */
  async mount(pod: Pod, container: Container, env: Readonly<Record<string, string>>): Promise<string> {
    const root = this.root(container.name);
    await rm(root, { recursive: true, force: true });
    await mkdir(root, { recursive: true, mode: 0o755 });
    // Shorter paths first: a mount inside another lies within its folder.
    const mounts = [...(container.volumeMounts ?? [])].sort(
      (a, b) => a.mountPath.length - b.mountPath.length,
    );
    for (const { name, mountPath, subPath, subPathExpr } of mounts) {
      const volume = pod.spec.volumes?.find((candidate) => candidate.name === name);
      if (!volume) continue;
      const folder = this.#volumeFolder(pod, volume);
      const place = join(root, normalize(mountPath));
      await mkdir(dirname(place), { recursive: true, mode: 0o755 });
      const part = subPath ?? (subPathExpr === undefined ? undefined : expand(subPathExpr, env));
      if (part === undefined) await symlink(folder, place);
      else if (contentless(volume)) {
        await mkdir(join(folder, part), { recursive: true });
        await symlink(join(folder, part), place);
      } else await cp(join(folder, part), place, { recursive: true, dereference: true });
    }
    return root;
  }

  async remove(): Promise<void> {
    // A killed process of the pod may still be writing its last file.
    await rm(this.path, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  }

  #volumeFolder({ metadata }: Pod, volume: Volume): string {
    if (volume.hostPath) return volume.hostPath.path;
    // A claim outlives its pods.
    if (volume.persistentVolumeClaim)
      return join(this.#node, 'claims', metadata.namespace, volume.persistentVolumeClaim.claimName);
    return join(this.path, 'volumes', kindOf(volume), volume.name);
  }
}

/** Whether a volume's content is the containers' own rather than written by the node. */
function contentless(volume: Volume): boolean {
  return !volume.secret && !volume.configMap && !volume.projected && !volume.downwardAPI;
}

function kindOf(volume: Volume): string {
  const kind = ['secret', 'configMap', 'projected', 'downwardAPI'].find((name) => name in volume);
  return kind ?? 'emptyDir';
}
