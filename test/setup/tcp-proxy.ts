import { connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Cuts the connection when the client sends `text`, before the server gets it. Once. */
  cutBefore(text: string): void;
  /** Passes `text` on, waits for the server's answer, and cuts the connection instead of delivering it. Once. */
  cutAfter(text: string): void;
  /** Takes `text` from the client and never says anything again, to either side. Once. */
  stall(text: string): void;
  /** Cuts everything and listens no more, as a server that is being restarted, until {@link up}. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** Whether something that was asked for hasn't come by yet. */
  pending(): boolean;
  close(): Promise<void>;
}

/** A proxy on loopback that loses messages at a chosen place, for lost requests and lost answers. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  let before: string | undefined;
  let after: string | undefined;
  let stalling: string | undefined;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    let cutAnswer = false;
    let stalled = false;
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', cut);
      socket.on('close', () => {
        sockets.delete(socket);
        cut();
      });
    }
    client.on('data', (bytes) => {
      if (stalling !== undefined && bytes.includes(stalling)) {
        stalling = undefined;
        stalled = true;
      }
      if (stalled) return undefined;
      if (before !== undefined && bytes.includes(before)) {
        before = undefined;
        return cut();
      }
      if (after !== undefined && bytes.includes(after)) {
        after = undefined;
        cutAnswer = true;
      }
      return upstream.write(bytes);
    });
    upstream.on('data', (bytes) => (cutAnswer ? cut() : client.write(bytes)));
  });
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
  await listen(0);
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const down = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    port,
    cutBefore: (text) => {
      before = text;
    },
    cutAfter: (text) => {
      after = text;
    },
    stall: (text) => {
      stalling = text;
    },
    pending: () => [before, after, stalling].some((text) => text !== undefined),
    down,
    up: () => listen(port),
    close: down,
  };
}
