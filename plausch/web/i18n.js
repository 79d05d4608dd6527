// Every text of the page in German and English: a key in, the text in the visitor's language out.

export const texts = {
  en: {
    title: 'Plausch test call', tagline: 'Check your camera, microphone and network, and talk to each other.',
    yourName: 'Your name', room: 'Meeting', join: 'Join', joining: 'Joining …', roomHint: 'Letters and digits; whoever has the same name meets you.',
    micOn: 'Mic on', micOff: 'Mic off', camOn: 'Camera on', camOff: 'Camera off', share: 'Share screen', unshare: 'Stop sharing',
    chat: 'Chat', report: 'Network', leave: 'Leave', send: 'Send', message: 'Message', you: 'you', guest: 'Guest', close: 'Close', copy: 'Copy link', copied: 'Link copied',
    alone: 'Nobody else is here yet. Send them the link of this page.', noCamera: 'No camera: {why}', noMic: 'No microphone: {why}',
    NotAllowedError: 'not permitted. Allow it in the address bar of the browser.', NotFoundError: 'none found.', NotReadableError: 'in use by another program.',
    insecure: 'the browser gives it only to pages over https or on localhost.', other: 'the browser said {name}.',
    reconnecting: 'Connection lost, trying again …', failed: 'It did not work: {why}', kicked: 'You were removed from the meeting.', left: 'You have left the meeting.', ended: 'The meeting has ended.',
    watching: 'You are watching: nobody sees or hears you.', watchers: '{n} are watching.', raiseHand: 'Ask to take part', lowerHand: 'Do not ask to take part any more', wordHand: 'Take part', handUp: 'You would like to take part …', handDenied: 'The moderators would like you to go on watching.',
    retry: 'Try again', moderator: 'moderator', muteThem: 'Mute', kick: 'Remove', grant: 'Make moderator', mutedByModerator: 'A moderator has muted you.',
    noBridge: 'The server has no media bridge right now.', screenOf: 'Screen of {name}', mutedLabel: 'microphone off',
    connection: 'Connection', path: 'Path', rtt: 'Round trip', loss: 'Loss (from you / to you)', rate: 'Rate (from you / to you)', encryption: 'Encryption', channel: 'Bridge channel', ice: 'ICE',
    open: 'open', shut: 'not open', sending: 'You send', receiving: 'You receive', who: 'Who', kind: 'What', codec: 'Codec', picture: 'Picture', bitrate: 'Rate', audio: 'sound', video: 'video', desktop: 'screen',
    noSession: 'The media session begins when somebody else is in the meeting.', ms: '{n} ms', kbits: '{n} kbit/s', percent: '{n} %', good: 'good', fair: 'fair', poor: 'poor', quality: 'Your connection: {q}',
    host: 'direct', srflx: 'through a router', prflx: 'through a router', relay: 'through a relay', language: 'Deutsch', webApp: 'This is the built-in test page. The full Jitsi Meet app is served when the server is started with ‑‑web.',
    check: 'Test camera, sound and network', checkAgain: 'Test again', cancel: 'Cancel', people: 'Participants', tools: 'Meeting controls',
    devices: 'Choose camera, microphone, loudspeaker', chooseCam: 'Camera', chooseMic: 'Microphone', chooseSpeaker: 'Loudspeaker', testSound: 'Play a test sound',
    micWord: 'Mic', camWord: 'Camera', wordShare: 'Screen', wordCopy: 'Link', wordLeave: 'Leave', invite: 'Share the link', roomMissing: 'Please give the meeting a name.',
    sureKick: 'Remove {name} from the meeting?', rejoining: 'The server is away for a moment. You will be back in the meeting by yourself …',
    needsHttpsNow: 'This page was opened without https, so the browser gives it neither camera nor microphone. Open the same address with https:// in front, or ask whoever runs this server.',
    checking_server: 'Connecting to the server …', checking_media: 'Looking for a way for picture and sound …', checking_back: 'Say something, please. You will see and hear it in a moment.',
    codeIs: 'Tell the helpdesk this code:', codeNote: 'With it they see what this test found: no name, no address, no meeting. It is valid for {n} minutes.',
    passwordOf: 'Password of the meeting', asksPassword: 'This meeting has a password. Whoever invited you knows it.', wrongPassword: 'That is not the password of this meeting.',
    asksName: 'Please give your name: a moderator decides who comes in.', waiting: 'You are waiting to be let in. The moderators see your name …',
    waitingForHost: 'The meeting has not begun yet. You come in as soon as somebody is there who may open it …', turnedAway: 'The moderators did not let you in. You can ask once more.', waits: 'Waiting …', gaveUp: 'You are no longer waiting.',
    entry: 'Entry', knockers: 'Who would like to come in', knocks: '{name} would like to come in', admit: 'Let in', deny: 'Turn away', admitAll: 'Let all in',
    lobbyIsOn: 'Whoever comes now waits until a moderator lets them in.', lobbyIsOff: 'Whoever has the link is in at once.', lobbyOn: 'Have newcomers wait', lobbyOff: 'Let everybody in',
    hasPassword: 'The meeting has a password.', passwordIs: 'The password of the meeting: {password}', noPassword: 'The meeting has no password.', newPassword: 'New password', passwordOn: 'Set the password', passwordOff: 'Remove the password',
    hostLogin: 'I may open this meeting', account: 'Account', accountPassword: 'Password of the account', logIn: 'Log in', loginFailed: 'Name or password is wrong, or the server lets nobody log in here.',
    entryFailed: 'The server did not do that.',
    filmNote: 'This is how others see and hear you:',
    verdict_good: 'Everything works. You can join.', verdict_fair: 'It works, with limits.', verdict_poor: 'Something does not work yet.',
    camWorks: 'The camera works.', camFailed: 'The camera does not work.', micWorks: 'The microphone works.', micFailed: 'The microphone does not work.', micSilent: 'The microphone hears nothing.',
    serverReached: 'The server answers.', serverBusy: 'The server cannot open a meeting right now.', serverUnreached: 'The server does not answer.',
    mediaDirect: 'Picture and sound reach the server.', udpBlocked: 'Picture and sound do not get through: UDP is blocked here.', throughRelay: 'Picture and sound take a detour.',
    videoBack: 'Your picture came back.', audioBack: 'Your sound came back.', videoLost: 'Your picture did not come back.', audioLost: 'Your sound did not come back.',
    network_good: 'The network is fast enough.', network_fair: 'The network has gaps.', network_poor: 'The network is too slow or loses too much.',
    needsHttps: 'The page was opened without https.', nextHttps: 'Open the same address with https:// in front.',
    nextNotAllowedError: 'Allow it: tap the sign left of the address and switch it on.', nextNotFoundError: 'None was found. Is it plugged in?', nextNotReadableError: 'Another program uses it. Close that one.',
    nextDevice: 'Choose another one under "Choose camera, microphone, loudspeaker".', nextMicSilent: 'Is it muted on the device or the headset? Choose another microphone and test again.',
    nextServer: 'Check whether other pages open. If they do, tell whoever runs this server.', nextServerBusy: 'Try again in a minute. If it stays, tell whoever runs this server.',
    nextUdp: 'Take another network, such as mobile data, or ask your IT to let UDP to this server through.', nextRelay: 'Meetings work, with more delay. In your own network, your IT can let UDP to this server through.',
    nextLost: 'Test again. If it stays, tell whoever runs this server.', nextNetwork: 'Move closer to the Wi-Fi router, use a cable, or switch the camera off; end downloads.',
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
    watching: 'Sie schauen zu: Niemand sieht oder hört Sie.', watchers: '{n} schauen zu.', raiseHand: 'Darum bitten, mitreden zu dürfen', lowerHand: 'Nicht mehr mitreden wollen', wordHand: 'Mitreden', handUp: 'Sie möchten mitreden …', handDenied: 'Die Moderation bittet Sie, weiter zuzuschauen.',
    retry: 'Noch einmal', moderator: 'Moderation', muteThem: 'Stummschalten', kick: 'Entfernen', grant: 'Moderation geben', mutedByModerator: 'Die Moderation hat Sie stummgeschaltet.',
    noBridge: 'Der Server hat gerade keine Media-Bridge.', screenOf: 'Bildschirm von {name}', mutedLabel: 'Mikrofon aus',
    connection: 'Verbindung', path: 'Weg', rtt: 'Umlaufzeit', loss: 'Verlust (von Ihnen / zu Ihnen)', rate: 'Datenrate (von Ihnen / zu Ihnen)', encryption: 'Verschlüsselung', channel: 'Kanal zur Bridge', ice: 'ICE',
    open: 'offen', shut: 'nicht offen', sending: 'Sie senden', receiving: 'Sie empfangen', who: 'Wer', kind: 'Was', codec: 'Codec', picture: 'Bild', bitrate: 'Rate', audio: 'Ton', video: 'Bild', desktop: 'Bildschirm',
    noSession: 'Die Medienverbindung beginnt, wenn noch jemand in der Besprechung ist.', ms: '{n} ms', kbits: '{n} kbit/s', percent: '{n} %', good: 'gut', fair: 'mittel', poor: 'schlecht', quality: 'Ihre Verbindung: {q}',
    host: 'direkt', srflx: 'durch einen Router', prflx: 'durch einen Router', relay: 'über ein Relay', language: 'English', webApp: 'Das ist die eingebaute Testseite. Die volle Jitsi-Meet-Oberfläche erscheint, wenn der Server mit ‑‑web gestartet wird.',
    check: 'Kamera, Ton und Netz testen', checkAgain: 'Noch einmal testen', cancel: 'Abbrechen', people: 'Teilnehmende', tools: 'Bedienung der Besprechung',
    devices: 'Kamera, Mikrofon, Lautsprecher wählen', chooseCam: 'Kamera', chooseMic: 'Mikrofon', chooseSpeaker: 'Lautsprecher', testSound: 'Testton abspielen',
    micWord: 'Mikrofon', camWord: 'Kamera', wordShare: 'Bildschirm', wordCopy: 'Link', wordLeave: 'Verlassen', invite: 'Link weitergeben', roomMissing: 'Bitte geben Sie der Besprechung einen Namen.',
    sureKick: '{name} aus der Besprechung entfernen?', rejoining: 'Der Server ist kurz weg. Sie kommen von selbst in die Besprechung zurück …',
    needsHttpsNow: 'Diese Seite wurde ohne https geöffnet, deshalb gibt der Browser ihr weder Kamera noch Mikrofon. Öffnen Sie dieselbe Adresse mit https:// davor, oder fragen Sie, wer diesen Server betreibt.',
    checking_server: 'Verbindung zum Server …', checking_media: 'Ein Weg für Bild und Ton wird gesucht …', checking_back: 'Bitte sagen Sie etwas. Sie sehen und hören es gleich.',
    codeIs: 'Nennen Sie der Hotline diesen Code:', codeNote: 'Damit sieht sie, was dieser Test ergab: keinen Namen, keine Adresse, keine Besprechung. Er gilt {n} Minuten.',
    passwordOf: 'Kennwort der Besprechung', asksPassword: 'Diese Besprechung hat ein Kennwort. Wer Sie eingeladen hat, kennt es.', wrongPassword: 'Das ist nicht das Kennwort dieser Besprechung.',
    asksName: 'Bitte nennen Sie Ihren Namen: Die Moderation entscheidet, wer hereinkommt.', waiting: 'Sie warten auf Einlass. Die Moderation sieht Ihren Namen …',
    waitingForHost: 'Die Besprechung hat noch nicht begonnen. Sie kommen hinein, sobald jemand da ist, der sie öffnen darf …', turnedAway: 'Die Moderation hat Sie nicht eingelassen. Sie können noch einmal fragen.', waits: 'Bitte warten …', gaveUp: 'Sie warten nicht mehr.',
    entry: 'Einlass', knockers: 'Wer hereinmöchte', knocks: '{name} möchte herein', admit: 'Einlassen', deny: 'Abweisen', admitAll: 'Alle einlassen',
    lobbyIsOn: 'Wer jetzt kommt, wartet, bis die Moderation ihn einlässt.', lobbyIsOff: 'Wer den Link hat, ist sofort dabei.', lobbyOn: 'Neue warten lassen', lobbyOff: 'Alle hereinlassen',
    hasPassword: 'Die Besprechung hat ein Kennwort.', passwordIs: 'Das Kennwort der Besprechung: {password}', noPassword: 'Die Besprechung hat kein Kennwort.', newPassword: 'Neues Kennwort', passwordOn: 'Kennwort setzen', passwordOff: 'Kennwort entfernen',
    hostLogin: 'Ich darf sie öffnen', account: 'Konto', accountPassword: 'Kennwort des Kontos', logIn: 'Anmelden', loginFailed: 'Name oder Kennwort stimmt nicht, oder der Server lässt hier niemanden anmelden.',
    entryFailed: 'Der Server hat das nicht getan.',
    filmNote: 'So sehen und hören andere Sie:',
    verdict_good: 'Alles klappt. Sie können beitreten.', verdict_fair: 'Es klappt, mit Einschränkungen.', verdict_poor: 'Etwas klappt noch nicht.',
    camWorks: 'Die Kamera geht.', camFailed: 'Die Kamera geht nicht.', micWorks: 'Das Mikrofon geht.', micFailed: 'Das Mikrofon geht nicht.', micSilent: 'Das Mikrofon hört nichts.',
    serverReached: 'Der Server antwortet.', serverBusy: 'Der Server kann gerade keine Besprechung öffnen.', serverUnreached: 'Der Server antwortet nicht.',
    mediaDirect: 'Bild und Ton erreichen den Server.', udpBlocked: 'Bild und Ton kommen nicht durch: UDP ist hier gesperrt.', throughRelay: 'Bild und Ton nehmen einen Umweg.',
    videoBack: 'Ihr Bild kam zurück.', audioBack: 'Ihr Ton kam zurück.', videoLost: 'Ihr Bild kam nicht zurück.', audioLost: 'Ihr Ton kam nicht zurück.',
    network_good: 'Das Netz ist schnell genug.', network_fair: 'Das Netz hat Lücken.', network_poor: 'Das Netz ist zu langsam oder verliert zu viel.',
    needsHttps: 'Die Seite wurde ohne https geöffnet.', nextHttps: 'Öffnen Sie dieselbe Adresse mit https:// davor.',
    nextNotAllowedError: 'Erlauben Sie es: auf das Zeichen links von der Adresse tippen und einschalten.', nextNotFoundError: 'Keine gefunden. Ist sie angesteckt?', nextNotReadableError: 'Ein anderes Programm benutzt sie. Schließen Sie es.',
    nextDevice: 'Wählen Sie unter „Kamera, Mikrofon, Lautsprecher wählen“ ein anderes Gerät.', nextMicSilent: 'Ist es am Gerät oder am Headset stumm geschaltet? Wählen Sie ein anderes Mikrofon und testen Sie noch einmal.',
    nextServer: 'Prüfen Sie, ob andere Seiten aufgehen. Wenn ja, sagen Sie es denen, die diesen Server betreiben.', nextServerBusy: 'Versuchen Sie es in einer Minute noch einmal. Bleibt es so, sagen Sie es denen, die diesen Server betreiben.',
    nextUdp: 'Nehmen Sie ein anderes Netz, zum Beispiel mobile Daten, oder bitten Sie Ihre IT, UDP zu diesem Server durchzulassen.', nextRelay: 'Besprechungen gehen, mit mehr Verzögerung. Im eigenen Netz kann Ihre IT UDP zu diesem Server durchlassen.',
    nextLost: 'Testen Sie noch einmal. Bleibt es so, sagen Sie es denen, die diesen Server betreiben.', nextNetwork: 'Gehen Sie näher an den WLAN-Router, nehmen Sie ein Kabel oder schalten Sie die Kamera aus; beenden Sie Downloads.',
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

// A number as people write it there.
export const number = (n, digits) => n.toLocaleString(current, { minimumFractionDigits: digits, maximumFractionDigits: digits });

export function t(key, values = {}) {
  const text = texts[current][key] ?? texts.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}
