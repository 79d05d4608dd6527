// Cuts this network namespace's loopback for the meeting's ports, and heals it.
import { execFileSync } from 'node:child_process';

// Drops all traffic of the web and media ports. Returns the function that lets it through again.
export async function drop() {
  if (process.env.PLAUSCH_TEST_NAMESPACE !== '1') throw new Error('dropping traffic needs the network namespace that `cargo xtask test` makes');
  const nft = (script) => execFileSync('nft', ['-f', '-'], { input: script });
  nft('table inet plausch {\n chain cut {\n  type filter hook input priority 0;\n  tcp dport 8000 drop\n  tcp sport 8000 drop\n  udp dport 10000 drop\n  udp sport 10000 drop\n }\n}\n');
  return async () => nft('delete table inet plausch\n');
}
