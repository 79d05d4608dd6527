// The pure half of the page's media: descriptions written and read, simulcast, encodings.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RemoteDescription, allowedEncodings, orderPayloads, readLocal, sections, withSimulcast } from '../sdp.js';

const payload = (id, name, parameters = [], feedback = []) => ({ id, name, clockrate: '90000', channels: 1, parameters, feedback });
const offer = {
  audio: { payloads: [{ id: '111', name: 'opus', clockrate: '48000', channels: 2, parameters: [['minptime', '10'], ['useinbandfec', '1']], feedback: [{ type: 'transport-cc', subtype: '' }] }], extensions: [{ id: '1', uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level' }], mixed: true },
  video: {
    payloads: [payload('41', 'AV1'), payload('42', 'rtx', [['apt', '41']]), payload('100', 'VP8', [], [{ type: 'nack', subtype: 'pli' }]), payload('96', 'rtx', [['apt', '100']]), payload('107', 'H264', [['', 'profile-level-id=42e01f']])],
    extensions: [], mixed: false,
  },
  sctpPort: 5000,
  transport: {
    ufrag: 'u', pwd: 'p', fingerprint: { hash: 'sha-256', value: 'AB:CD', setup: 'actpass' },
    candidates: [{ foundation: '1', component: '1', protocol: 'udp', priority: '1', ip: '192.0.2.1', port: '10000', type: 'srflx', generation: '0', relAddr: '10.0.0.5', relPort: '10000' }],
  },
};
const section = (sdp, mid) => sections(sdp).media.find((m) => m.includes(`a=mid:${mid}`));

test('the first description has sound, picture and data in one bundle, the candidates once', () => {
  const sdp = new RemoteDescription(offer).text();
  assert.match(sdp, /^v=0\r\no=- 1 1 IN IP4 127\.0\.0\.1\r\n/);
  assert.match(sdp, /a=group:BUNDLE 0 1 2\r\n/);
  assert.equal(sdp.match(/a=candidate:/g).length, 1);
  assert.ok(section(sdp, '0').includes('a=candidate:1 1 udp 1 192.0.2.1 10000 typ srflx raddr 10.0.0.5 rport 10000 generation 0'));
  assert.ok(section(sdp, '0').includes('a=fmtp:111 minptime=10;useinbandfec=1'));
  assert.ok(section(sdp, '0').includes('a=rtpmap:111 opus/48000/2'));
  assert.ok(section(sdp, '1').includes('a=rtcp-fb:100 nack pli'));
  assert.ok(section(sdp, '1').includes('a=fmtp:107 profile-level-id=42e01f'));
  for (const mid of ['0', '1']) assert.ok(section(sdp, mid).includes('a=recvonly') && section(sdp, mid).includes('a=rtcp-mux'));
  assert.ok(section(sdp, '2').includes('a=sctp-port:5000'));
});

test('without data there is no third section', () => {
  assert.match(new RemoteDescription({ ...offer, sctpPort: null }).text(), /a=group:BUNDLE 0 1\r\n/);
});

test('streams of the bridge and our second video get sections of their own, and the version rises', () => {
  const remote = new RemoteDescription(offer);
  remote.text();
  const audio = remote.addTheirs('audio', { ssrc: 770001 });
  const video = remote.addTheirs('video', { ssrc: 880001, rtx: 880002 });
  const screen = remote.addOurs('video');
  const sdp = remote.text();
  assert.deepEqual([audio, video, screen], ['3', '4', '5']);
  assert.match(sdp, /o=- 1 2 /);
  assert.match(sdp, /a=group:BUNDLE 0 1 2 3 4 5\r\n/);
  assert.ok(section(sdp, video).includes('a=ssrc-group:FID 880001 880002'));
  assert.ok(section(sdp, video).includes('a=sendonly'));
  assert.ok(section(sdp, audio).some((l) => l.startsWith('a=ssrc:770001 msid:')));
  assert.ok(!section(sdp, audio).some((l) => l.startsWith('a=ssrc-group')));
  assert.ok(section(sdp, screen).includes('a=recvonly') && !section(sdp, screen).some((l) => l.startsWith('a=ssrc')));
});

test('VP8 comes first and every retransmission format stays behind its codec', () => {
  assert.deepEqual(orderPayloads(offer.video.payloads).map((p) => p.id), ['100', '96', '107', '41', '42']);
});

const answer = [
  'v=0', 'o=- 1 2 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE 0 1 2',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'c=IN IP4 0.0.0.0', 'a=ice-ufrag:me', 'a=ice-pwd:secret', 'a=fingerprint:sha-256 11:22', 'a=setup:active', 'a=mid:0',
  'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level', 'a=sendonly', 'a=rtpmap:111 opus/48000/2', 'a=rtcp-fb:111 transport-cc', 'a=fmtp:111 minptime=10;useinbandfec=1', 'a=ssrc:10 cname:c', 'a=ssrc:10 msid:- t0',
  'm=video 9 UDP/TLS/RTP/SAVPF 100 96', 'c=IN IP4 0.0.0.0', 'a=mid:1', 'a=sendonly', 'a=rtpmap:100 VP8/90000', 'a=rtcp-fb:100 nack pli', 'a=rtpmap:96 rtx/90000', 'a=fmtp:96 apt=100',
  'a=ssrc-group:FID 20 21', 'a=ssrc:20 cname:c', 'a=ssrc:20 msid:- t1', 'a=ssrc:21 cname:c', 'a=ssrc:21 msid:- t1',
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel', 'c=IN IP4 0.0.0.0', 'a=mid:2', 'a=sctp-port:5000', '',
].join('\r\n');

test('our own description is read completely', () => {
  const local = readLocal(answer);
  assert.deepEqual([local.ufrag, local.pwd, local.fingerprint], ['me', 'secret', { hash: 'sha-256', value: '11:22', setup: 'active' }]);
  const [audio, video, data] = local.media;
  assert.deepEqual(audio.payloads, [{ id: '111', name: 'opus', clockrate: '48000', channels: '2', parameters: [['minptime', '10'], ['useinbandfec', '1']], feedback: [{ type: 'transport-cc', subtype: '' }] }]);
  assert.deepEqual(audio.sources, [{ ssrc: '10', cname: 'c', msid: '- t0' }]);
  assert.deepEqual(video.groups, [{ semantics: 'FID', ssrcs: ['20', '21'] }]);
  assert.deepEqual([data.kind, data.sctpPort, data.payloads], ['application', '5000', []]);
});

test('simulcast adds two encodings with their retransmissions, and repeats them in every later description', () => {
  let n = 100;
  const streams = {};
  const once = withSimulcast(answer, '1', streams, () => String(n++));
  const video = readLocal(once).media[1];
  assert.deepEqual(video.groups, [
    { semantics: 'SIM', ssrcs: ['20', '100', '101'] },
    { semantics: 'FID', ssrcs: ['20', '21'] }, { semantics: 'FID', ssrcs: ['100', '102'] }, { semantics: 'FID', ssrcs: ['101', '103'] },
  ]);
  assert.equal(video.sources.length, 6);
  assert.ok(video.sources.every((s) => s.cname === 'c' && s.msid === '- t1'));
  assert.equal(withSimulcast(answer, '1', streams, () => assert.fail('no new numbers')), once);
  assert.equal(withSimulcast(once, '1', streams, () => assert.fail('no new numbers')), once, 'a description that has it stays');
  assert.deepEqual(readLocal(once).media[0], readLocal(answer).media[0], 'sound is left alone');
  const receiving = answer.replaceAll('a=sendonly', 'a=recvonly');
  assert.deepEqual(readLocal(withSimulcast(receiving, '1', {}, () => '1')), readLocal(receiving), 'nothing is added to what we do not send');
});

test('encodings follow what is wanted', () => {
  assert.deepEqual(allowedEncodings(3, 720, -1), [true, true, true]);
  assert.deepEqual(allowedEncodings(3, 720, 720), [true, true, true]);
  assert.deepEqual(allowedEncodings(3, 720, 719), [true, true, true], 'a line less than the picture has is the picture');
  assert.deepEqual(allowedEncodings(3, 720, 360), [true, true, false]);
  assert.deepEqual(allowedEncodings(3, 720, 180), [true, false, false]);
  assert.deepEqual(allowedEncodings(3, 720, 90), [true, false, false], 'the lowest goes out as long as anything is wanted');
  assert.deepEqual(allowedEncodings(3, 720, 0), [false, false, false]);
  assert.deepEqual(allowedEncodings(1, 1080, 180), [true]);
});
