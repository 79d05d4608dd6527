// What a check found in, four letters for the helpdesk out. The server keeps the lines and the figures for half an hour, and nothing of who it was.
const WAIT_MS = 8000;

// What is sent: names of lines, and figures when there was a connection.
export function reportOf(facts, lines) {
  const connected = facts.ice === 'connected' || facts.ice === 'completed';
  const { path, rtt, lossUp, lossDown } = facts;
  return { found: lines.map((l) => l.say), ...(connected ? { path, rtt, lossUp, lossDown } : {}) };
}

// Null when the server cannot be asked or has no code to give: then there is a verdict all the same.
export async function supportCode(facts, lines) {
  try {
    const response = await fetch('/_plausch/support', {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(reportOf(facts, lines)), signal: AbortSignal.timeout?.(WAIT_MS),
    });
    if (!response.ok) return null;
    const { code, minutes } = await response.json();
    return { code, minutes };
  } catch {
    return null;
  }
}
