// A participant made of a Jitsi client library, old or new, with the same few verbs for the test as the test-call page.
window.client = { id: null, state: 'new', events: [], failures: [], roles: {}, dominant: null, channelOpen: false, p2p: false, messages: [], members: {}, asked: null, refused: null, lobby: {}, parts: {} };
const attach = (track) => {
  if (track.isLocal()) return;
  const el = document.createElement(track.getType());
  el.autoplay = true;
  el.playsInline = true;
  el.dataset.track = track.getId?.() ?? '';
  const mark = () => {
    el.dataset.participant = track.getParticipantId();
    el.dataset.source = track.getSourceName?.() ?? track.getType();
  };
  mark();
  setInterval(mark, 250);
  track.attach(el);
  track.__el = el;
  document.body.append(el);
};

client.join = async (room, options = {}) => {
  const J = window.JitsiMeetJS;
  J.setLogLevel?.(options.debug ? J.logLevels.DEBUG : J.logLevels.ERROR);
  J.init({ disableThirdPartyRequests: true });
  client.options = options;
  const devices = options.devices ?? ['audio', 'video'];
  client.tracks = await J.createLocalTracks({ devices, resolution: options.resolution ?? 360 });
  // The town, where the address names one, belongs to all addresses.
  const base = `${location.host}${location.pathname.replace(/\/[^/]*$/, '')}`;
  const s = location.protocol === 'https:' ? 's' : '';
  const service = options.transport === 'bosh' ? `http${s}://${base}/http-bind?room=${room}` : `ws${s}://${base}/xmpp-websocket?room=${room}`;
  const settings = {
    hosts: config.hosts, serviceUrl: service, bosh: options.transport === 'bosh' ? service : undefined,
    deploymentInfo: {}, enableWebsocketResume: true, p2pStunServers: [],
    conferenceRequestUrl: options.httpConferenceRequest ? `http${s}://${base}/conference-request/v1` : undefined,
    flags: { ssrcRewritingEnabled: options.rewriting !== false }, bridgeChannel: { preferSctp: options.channel !== 'websocket' },
    websocketKeepAlive: 60000,
  };
  client.connection = new J.JitsiConnection(null, options.jwt ?? null, settings);
  await new Promise((resolve, reject) => {
    client.connection.addEventListener(J.events.connection.CONNECTION_ESTABLISHED, resolve);
    client.connection.addEventListener(J.events.connection.CONNECTION_FAILED, (...a) => { client.failures.push(['connection', ...a.map(String)]); reject(new Error(a.join(' '))); });
    client.connection.connect({ name: room });
  });
  client.connectedAt = performance.now();
  client.settings = settings;
  return client.enterRoom(room);
};
// `domain`: of other rooms than meetings, such as parts of them.
client.enterRoom = async (room, domain) => {
  const J = window.JitsiMeetJS;
  const E = J.events.conference;
  const { options, settings } = client;
  const conf = client.conference = client.connection.initJitsiConference(room, {
    ...settings, customDomain: domain, openBridgeChannel: options.channel === 'websocket' ? 'websocket' : 'datachannel', p2p: { enabled: !!options.p2p, stunServers: [], backToP2PDelay: 1 },
    videoQuality: options.videoQuality,
    // The old library still reads its options here.
    testing: { enableFirefoxSimulcast: true },
  });
  for (const [name, value] of Object.entries(E)) conf.on(value, () => client.events.push(name));
  conf.on(E.TRACK_ADDED, attach);
  conf.on(E.TRACK_REMOVED, (t) => t.__el?.remove());
  conf.on(E.USER_JOINED, (id, user) => { client.members[id] = user?.getDisplayName?.() ?? ''; });
  conf.on(E.DISPLAY_NAME_CHANGED, (id, called) => { if (id in client.members) client.members[id] = called; });
  conf.on(E.USER_LEFT, (id) => { delete client.members[id]; });
  conf.on(E.USER_ROLE_CHANGED, (id, role) => { client.roles[id] = role; });
  conf.on(E.DOMINANT_SPEAKER_CHANGED, (id) => { client.dominant = id; });
  conf.on(E.DATA_CHANNEL_OPENED, () => { client.channelOpen = true; });
  conf.on(E.P2P_STATUS, (_, on) => { client.p2p = on; });
  conf.on(E.MESSAGE_RECEIVED, (id, text) => client.messages.push({ from: id, text }));
  conf.on(E.LOBBY_USER_JOINED, (id, name) => { client.lobby[id] = name; });
  conf.on(E.LOBBY_USER_LEFT, (id) => { delete client.lobby[id]; });
  conf.on(E.BREAKOUT_ROOMS_UPDATED, (update) => { client.parts = update.rooms ?? update; });
  conf.on(E.BREAKOUT_ROOMS_MOVE_TO_ROOM, (jid) => client.goTo(jid).catch((e) => client.failures.push(['breakout', String(e)])));
  conf.on(E.KICKED, () => { client.state = 'kicked'; });
  conf.on(E.CONFERENCE_LEFT, () => { if (client.state === 'joined') client.state = 'left'; });
  conf.on(E.CONFERENCE_FAILED, (...a) => client.atTheDoor(...a));
  // The build of 2021 has no name for the event that somebody with an account is needed, so it tells nobody.
  const { moderator } = conf.room;
  const failed = moderator?._allocateConferenceFocusError;
  if (failed) moderator._allocateConferenceFocusError = (answer, ...a) => (answer?.querySelector('error > not-authorized') ? client.atTheDoor(J.errors.conference.AUTHENTICATION_REQUIRED) : failed.call(moderator, answer, ...a));
  await client.comes(() => {
    Promise.all(client.tracks.map((t) => conf.addTrack(t))).then(() => {
      if (options.name) conf.setDisplayName(options.name);
      conf.join();
    });
  });
  return client.entered();
};
client.entered = () => {
  client.joinedAt = performance.now();
  client.id = client.conference.myUserId();
  client.select();
  return client.id;
};
// Waits until we are in, or know that we are not let in.
client.comes = (begin) => new Promise((resolve, reject) => {
  client.refused = null;
  client.refuse = (why) => { [client.refused, client.asked] = [why, null]; reject(new Error(`not let in: ${why}`)); };
  client.conference.on(JitsiMeetJS.events.conference.CONFERENCE_JOINED, () => { [client.state, client.asked] = ['joined', null]; resolve(); });
  begin();
});
// What an app does when a meeting is not simply open: asks for the password, knocks, or tries until the host is there.
client.atTheDoor = (error, ...more) => {
  const { conference: conf, options } = client;
  const X = JitsiMeetJS.errors.conference;
  if (error === X.PASSWORD_REQUIRED) client.asked = { what: 'password', wrong: client.asked?.what === 'password' };
  else if (error === X.MEMBERS_ONLY_ERROR) client.knock();
  else if (error === X.CONFERENCE_ACCESS_DENIED) client.refuse('denied');
  else if (error === X.AUTHENTICATION_REQUIRED) { client.asked = { what: 'host' }; setTimeout(() => { if (client.state !== 'joined' && !client.loggingIn) conf.join(); }, 1000); }
  else { client.failures.push(['conference', error, ...more].map(String)); client.refuse([error, ...more].join(' ')); }
};
client.knock = () => client.conference.joinLobby(client.options.name).then(() => { client.asked = { what: 'wait', forHost: false }; }, (e) => client.refuse(String(e)));
// Once more, after having been turned away.
client.again = () => client.comes(client.knock).then(client.entered);
// In the name of an account, whatever the first connection is.
client.login = async (name, password) => {
  client.loggingIn = true;
  await client.conference.authenticateAndUpgradeRole({ id: `${name}@${config.hosts.authdomain}`, password }).catch((e) => { throw new Error(JSON.stringify(e)); });
  // The library of 2021 goes on by itself; newer ones leave it to the app.
  setTimeout(() => { if (client.state !== 'joined') client.conference.join(); }, 1000);
};
client.answer = (password) => client.conference.join(password);
client.setPassword = (password) => (password ? client.conference.lock(password) : client.conference.unlock());
client.setLobby = (on) => (on ? client.conference.enableLobby() : client.conference.disableLobby());
client.knocking = () => Object.entries(client.lobby).map(([id, name]) => ({ id, name }));
client.admit = (id) => client.conference.lobbyApproveAccess(id);
client.deny = (id) => client.conference.lobbyDenyAccess(id);
// Parts of a meeting: open one, send somebody there, go there.
client.openPart = (name) => client.conference.getBreakoutRooms().createBreakoutRoom(name);
client.closePart = (jid) => client.conference.getBreakoutRooms().removeBreakoutRoom(jid);
client.send = (id, jid) => client.conference.getBreakoutRooms().sendParticipantToRoom(`${client.conference.room.roomjid}/${id}`, jid);
client.goTo = async (jid) => {
  const { room } = client.conference;
  // Today's clients say that this is no goodbye; the library of 2021 did not know yet.
  client.connection.xmpp.connection.send(new DOMParser().parseFromString(`<presence xmlns="jabber:client" type="unavailable" to="${room.myroomjid}"><status>switch_room</status></presence>`, 'text/xml').documentElement);
  client.state = 'moving';
  await client.conference.leave();
  client.members = {};
  return client.enterRoom(...jid.split('@'));
};
// What an app's layout would ask for: everybody's video at the given height.
client.select = (height = 360) => {
  try {
    client.conference.setReceiverConstraints({ lastN: -1, defaultConstraints: { maxHeight: height }, constraints: {} });
  } catch (e) { client.failures.push(['constraints', String(e)]); }
};
client.leave = async () => { await client.conference.leave(); await client.connection.disconnect(); client.state = 'left'; };
client.mute = (kind) => client.conference.getLocalTracks(kind)[0].mute();
client.unmute = (kind) => client.conference.getLocalTracks(kind)[0].unmute();
client.share = async () => {
  const made = await JitsiMeetJS.createLocalTracks({ devices: ['desktop'] });
  const track = made.find((t) => t.getType() === 'video');
  for (const t of made) if (t !== track) await t.dispose();
  client.screen = track;
  await client.conference.addTrack(track);
};
client.unshare = async () => { await client.conference.removeTrack(client.screen); await client.screen.dispose(); };
client.chat = (text) => client.conference.sendTextMessage(text);
client.kick = (id) => client.conference.kickParticipant(id, 'test');
client.grant = (id) => client.conference.grantOwner(id);
client.muteOther = (id, kind) => client.conference.muteParticipant(id, kind);
client.role = () => client.conference.getRole();
client.remoteMuted = (id, kind) => client.conference.getParticipantById(id)?.getTracks().filter((t) => t.getType() === kind).every((t) => t.isMuted());
client.localMuted = (kind) => client.conference.getLocalTracks(kind).every((t) => t.isMuted());
client.remoteVideoSources = (id) => (client.conference.getParticipantById(id)?.getTracks() ?? []).filter((t) => t.getType() === 'video' && !t.isMuted()).length;
client.dropSocket = () => client.connection.xmpp.connection._stropheConn._proto.socket.close();
