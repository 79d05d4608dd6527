// Every text of the page in German and English: a key in, the text in the visitor's language out.

export const texts = {
  en: {
    title: 'Plausch test call', tagline: 'Check your camera, microphone and network, and talk to each other.',
    yourName: 'Your name', room: 'Meeting', join: 'Join', joining: 'Joining …', roomHint: 'Letters and digits; whoever has the same name meets you.',
    micOn: 'Microphone on', micOff: 'Microphone off', camOn: 'Camera on', camOff: 'Camera off', share: 'Share screen', unshare: 'Stop sharing',
    chat: 'Chat', report: 'Network', leave: 'Leave', send: 'Send', message: 'Message', you: 'you', guest: 'Guest', close: 'Close', copy: 'Copy link', copied: 'Link copied',
    alone: 'Nobody else is here yet. Send them the link of this page.', noCamera: 'No camera: {why}', noMic: 'No microphone: {why}',
    NotAllowedError: 'not permitted. Allow it in the address bar of the browser.', NotFoundError: 'none found.', NotReadableError: 'in use by another program.',
    insecure: 'the browser gives it only to pages over https or on localhost.', other: 'the browser said {name}.',
    reconnecting: 'Connection lost, trying again …', failed: 'It did not work: {why}', kicked: 'You were removed from the meeting.', left: 'You have left the meeting.', ended: 'The meeting has ended.',
    retry: 'Try again', moderator: 'moderator', muteThem: 'Mute', kick: 'Remove', grant: 'Make moderator', mutedByModerator: 'A moderator has muted you.',
    noBridge: 'The server has no media bridge right now.', screenOf: 'Screen of {name}', mutedLabel: 'microphone off',
    connection: 'Connection', path: 'Path', rtt: 'Round trip', loss: 'Loss (from you / to you)', rate: 'Rate (from you / to you)', encryption: 'Encryption', channel: 'Bridge channel', ice: 'ICE',
    open: 'open', shut: 'not open', sending: 'You send', receiving: 'You receive', who: 'Who', kind: 'What', codec: 'Codec', picture: 'Picture', bitrate: 'Rate', audio: 'sound', video: 'video', desktop: 'screen',
    noSession: 'The media session begins when somebody else is in the meeting.', ms: '{n} ms', kbits: '{n} kbit/s', percent: '{n} %', good: 'good', fair: 'fair', poor: 'poor', quality: 'Your connection: {q}',
    host: 'direct', srflx: 'through a router', prflx: 'through a router', relay: 'through a relay', language: 'Deutsch', webApp: 'This is the built-in test page. The full Jitsi Meet app is served when the server is started with --web.',
  },
  de: {
    title: 'Plausch-Testanruf', tagline: 'Kamera, Mikrofon und Netz prüfen und miteinander sprechen.',
    yourName: 'Ihr Name', room: 'Besprechung', join: 'Beitreten', joining: 'Beitritt läuft …', roomHint: 'Buchstaben und Ziffern; wer denselben Namen eingibt, trifft Sie.',
    micOn: 'Mikrofon an', micOff: 'Mikrofon aus', camOn: 'Kamera an', camOff: 'Kamera aus', share: 'Bildschirm teilen', unshare: 'Teilen beenden',
    chat: 'Chat', report: 'Netz', leave: 'Verlassen', send: 'Senden', message: 'Nachricht', you: 'Sie', guest: 'Gast', close: 'Schließen', copy: 'Link kopieren', copied: 'Link kopiert',
    alone: 'Noch ist niemand sonst da. Schicken Sie den anderen den Link dieser Seite.', noCamera: 'Keine Kamera: {why}', noMic: 'Kein Mikrofon: {why}',
    NotAllowedError: 'nicht erlaubt. Erlauben Sie es in der Adresszeile des Browsers.', NotFoundError: 'keine gefunden.', NotReadableError: 'ein anderes Programm benutzt sie.',
    insecure: 'der Browser gibt sie nur Seiten über https oder auf localhost.', other: 'der Browser meldet {name}.',
    reconnecting: 'Verbindung verloren, neuer Versuch …', failed: 'Es hat nicht geklappt: {why}', kicked: 'Sie wurden aus der Besprechung entfernt.', left: 'Sie haben die Besprechung verlassen.', ended: 'Die Besprechung ist beendet.',
    retry: 'Noch einmal', moderator: 'Moderation', muteThem: 'Stummschalten', kick: 'Entfernen', grant: 'Moderation geben', mutedByModerator: 'Die Moderation hat Sie stummgeschaltet.',
    noBridge: 'Der Server hat gerade keine Media-Bridge.', screenOf: 'Bildschirm von {name}', mutedLabel: 'Mikrofon aus',
    connection: 'Verbindung', path: 'Weg', rtt: 'Umlaufzeit', loss: 'Verlust (von Ihnen / zu Ihnen)', rate: 'Datenrate (von Ihnen / zu Ihnen)', encryption: 'Verschlüsselung', channel: 'Kanal zur Bridge', ice: 'ICE',
    open: 'offen', shut: 'nicht offen', sending: 'Sie senden', receiving: 'Sie empfangen', who: 'Wer', kind: 'Was', codec: 'Codec', picture: 'Bild', bitrate: 'Rate', audio: 'Ton', video: 'Bild', desktop: 'Bildschirm',
    noSession: 'Die Medienverbindung beginnt, wenn noch jemand in der Besprechung ist.', ms: '{n} ms', kbits: '{n} kbit/s', percent: '{n} %', good: 'gut', fair: 'mittel', poor: 'schlecht', quality: 'Ihre Verbindung: {q}',
    host: 'direkt', srflx: 'durch einen Router', prflx: 'durch einen Router', relay: 'über ein Relay', language: 'English', webApp: 'Das ist die eingebaute Testseite. Die volle Jitsi-Meet-Oberfläche erscheint, wenn der Server mit --web gestartet wird.',
  },
};

let current = 'en';

// The first of the visitor's languages that we have.
export function choose(wanted) {
  current = wanted.map((l) => l.slice(0, 2).toLowerCase()).find((l) => l in texts) ?? 'en';
  return current;
}

export const language = () => current;
export const other = () => (current === 'de' ? 'en' : 'de');

export function t(key, values = {}) {
  const text = texts[current][key] ?? texts.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}
