//! What every environment variable of docker-jitsi-meet means to us that no option of ours is named after: data alone.
//!
//! The names are upstream's, of its compose files and templates; whoever upgrades has some of them in an `.env`.

use super::Entry;
use super::Meaning::{self, Always, Compose, Later, Missing, Nothing};

const fn entry(meaning: Meaning, english: &'static str, german: &'static str, names: &'static str) -> Entry {
    Entry { meaning, english, german, names }
}

/// The reason once, then the variables it holds for, with spaces between.
pub(super) const UPSTREAM: &[Entry] = &[
    entry(
        Compose,
        "docker/compose.yml reads it",
        "das liest docker/compose.yml",
        "CONFIG JITSI_IMAGE_REPO JITSI_IMAGE_VERSION RESTART_POLICY HTTP_PORT HTTPS_PORT JICOFO_REST_PORT \
         JVB_COLIBRI_PORT",
    ),
    entry(
        Nothing,
        "log stamps are UTC, so that logs of several machines fit together",
        "Zeitstempel im Log sind UTC, damit Logs mehrerer Maschinen zusammenpassen",
        "TZ",
    ),
    entry(
        Nothing,
        "nothing is sent to Sentry",
        "an Sentry geht nichts",
        "SENTRY_DSN JICOFO_SENTRY_DSN JVB_SENTRY_DSN JIGASI_SENTRY_DSN SENTRY_ENVIRONMENT SENTRY_RELEASE",
    ),
    entry(
        Nothing,
        "tunes Java or Lua, of which there is none",
        "stellt Java oder Lua ein, die es hier nicht gibt",
        "JICOFO_MAX_MEMORY VIDEOBRIDGE_MAX_MEMORY GC_TYPE GC_INC_TH GC_INC_SPEED GC_INC_STEP_SIZE GC_GEN_MIN_TH \
         GC_GEN_MAX_TH JVB_USE_USRSCTP",
    ),
    entry(
        Always,
        "the web container asks the XMPP server there; alone, there is nothing between the two",
        "dort fragt der Web-Container den XMPP-Server; allein liegt nichts dazwischen",
        "XMPP_BOSH_URL_BASE",
    ),
    entry(
        Nothing,
        "there is no nginx in here",
        "nginx gibt es hier nicht",
        "NGINX_RESOLVER NGINX_WORKER_PROCESSES NGINX_WORKER_CONNECTIONS NGINX_KEEPALIVE_TIMEOUT ENABLE_LOAD_TEST_CLIENT \
         WEB_CONFIG_PREFIX",
    ),
    entry(
        Nothing,
        "read by nothing upstream either",
        "liest auch im Original niemand",
        "JICOFO_COMPONENT_SECRET ENABLE_S2S CODEC_ORDER_P2P CODEC_ORDER_P2P_MOBILE WHITEBOARD_ENABLED ENABLE_STATS_ID \
         JIGASI_DISABLE_SIP",
    ),
    entry(
        Later,
        "means something only with AUTH_TYPE matrix or hybrid_matrix_token, which stops the start",
        "bedeutet nur mit AUTH_TYPE matrix oder hybrid_matrix_token etwas, das den Start verhindert",
        "MATRIX_UVS_URL MATRIX_UVS_ISSUER MATRIX_UVS_AUTH_TOKEN MATRIX_UVS_SYNC_POWER_LEVELS MATRIX_LOBBY_BYPASS",
    ),
    entry(
        Always,
        "TLS to a directory is 1.2 or 1.3 with today's ciphers",
        "TLS zu einem Verzeichnis ist 1.2 oder 1.3 mit heutigen Verfahren",
        "LDAP_TLS_CIPHERS",
    ),
    entry(
        Nothing,
        "roots are those of the machine, or of LDAP_TLS_CACERT_FILE",
        "Wurzelzertifikate sind die des Rechners, oder die in LDAP_TLS_CACERT_FILE",
        "LDAP_TLS_CACERT_DIR",
    ),
    entry(
        Nothing,
        "upstream's compose file does not pass it on",
        "die Compose-Datei des Originals gibt es nicht weiter",
        "JWT_ACCEPTED_ALLOWNER_ISSUERS",
    ),
    entry(
        Always,
        "clients are told the domain of accounts when people log in",
        "Clients erfahren die Domain der Konten, wenn man sich anmeldet",
        "ENABLE_AUTH_DOMAIN",
    ),
    entry(
        Always,
        "moderator rights are always checked",
        "Moderationsrechte werden immer geprüft",
        "ENABLE_MODERATOR_CHECKS",
    ),
    entry(
        Always,
        "each peer has a budget, always",
        "jede Gegenstelle hat immer ein Kontingent",
        "PROSODY_ENABLE_RATE_LIMITS PROSODY_RATE_LIMIT_LOGIN_RATE PROSODY_RATE_LIMIT_SESSION_RATE \
         PROSODY_RATE_LIMIT_TIMEOUT PROSODY_RATE_LIMIT_CACHE_SIZE PROSODY_C2S_LIMIT \
         PROSODY_DISABLE_C2S_LIMIT MAX_SSRCS_PER_USER MAX_SSRC_GROUPS_PER_USER JICOFO_RESTART_REQUEST_MAX \
         JICOFO_RESTART_REQUEST_INTERVAL",
    ),
    entry(
        Nothing,
        "there is no connection to other XMPP servers",
        "Verbindungen zu anderen XMPP-Servern gibt es nicht",
        "PROSODY_S2S_PORT XMPP_SERVER_S2S_PORT PROSODY_ENABLE_S2S PROSODY_S2S_LIMIT PROSODY_DISABLE_S2S_LIMIT",
    ),
    entry(
        Always,
        "figures and changes are always there, on admin.listen; changes need a token",
        "Zahlen und Änderungen gibt es immer, an admin.listen; Änderungen brauchen ein Token",
        "JICOFO_ENABLE_REST COLIBRI_REST_ENABLED SHUTDOWN_REST_ENABLED",
    ),
    entry(
        Nothing,
        "figures are on admin.listen alone; admin.hosts names who asks for them",
        "Zahlen gibt es nur an admin.listen; admin.hosts nennt, wer fragt",
        "PROSODY_ENABLE_STANZA_COUNTS",
    ),
    entry(
        Always,
        "when moderators restrict the chat, it is so, always",
        "schränken Moderierende den Chat ein, gilt das immer",
        "PROSODY_ENABLE_FILTER_MESSAGES",
    ),
    entry(
        Always,
        "nicks are always checked",
        "Nicks werden immer geprüft",
        "PROSODY_ENABLE_MUC_RESOURCE_VALIDATE PROSODY_MUC_RESOURCE_VALIDATE_ANON_METHODS",
    ),
    entry(
        Nothing,
        "the log goes to standard error; log.filter and log.format shape it",
        "das Log geht auf die Standardausgaben; log.filter, log.format und log.to stellen es ein",
        "PROSODY_LOG_CONFIG JICOFO_LOG_FILE JVB_LOG_FILE",
    ),
    entry(
        Always,
        "the cloud's metadata are not asked for our address, always",
        "die Metadaten der Cloud werden nie nach unserer Adresse gefragt",
        "DISABLE_AWS_HARVESTER",
    ),
    entry(
        Nothing,
        "the bridge takes the machine's addresses; JVB_ADVERTISE_IPS names others",
        "die Bridge nimmt die Adressen des Rechners; JVB_ADVERTISE_IPS nennt andere",
        "JVB_REQUIRE_VALID_ADDRESS LOCAL_ADDRESS",
    ),
    entry(
        Always,
        "/about/health always says how focus and bridges are",
        "/about/health sagt immer, wie es Fokus und Bridges geht",
        "JICOFO_ENABLE_HEALTH_CHECKS JICOFO_ENABLE_BRIDGE_HEALTH_CHECKS JICOFO_HEALTH_CHECKS_USE_PRESENCE",
    ),
    entry(
        Nothing,
        "decided by the focus and the bridge themselves",
        "entscheiden Fokus und Bridge selbst",
        "JICOFO_ENABLE_ICE_FAILURE_DETECTION JICOFO_ICE_FAILURE_INTERVAL JICOFO_ICE_FAILURE_MIN_ENDPOINTS \
         JICOFO_ICE_FAILURE_THRESHOLD JICOFO_MULTI_STREAM_BACKWARD_COMPAT JICOFO_ENABLE_MID ENABLE_VLA JVB_CC_TRUST_BWE BWE_ESTIMATOR_ENGINE \
         JVB_INSTANCE_ID JVB_VERSION XMPP_TRUST_ALL_CERTS XMPP_ENV_NAME",
    ),
    entry(
        Nothing,
        "of older releases; data channel and WebSocket are both there",
        "aus älteren Versionen; Datenkanal und WebSocket sind beide da",
        "COLIBRI_WEBSOCKET_JVB_LOOKUP_NAME COLIBRI_WEBSOCKET_PORT COLIBRI_WEBSOCKET_REGEX \
         DISABLE_COLIBRI_WEBSOCKET_JVB_LOOKUP ENABLE_COLIBRI_WEBSOCKET ENABLE_COLIBRI_WEBSOCKET_UNSAFE_REGEX ENABLE_SCTP \
         ENABLE_OCTO_SCTP JVB_WS_DOMAIN JVB_WS_SERVER_ID JVB_WS_TLS",
    ),
    entry(
        Always,
        "viewers are served by this server itself; there are no others for them",
        "Zuschauende bedient dieser Server selbst; andere gibt es dafür nicht",
        "VISITORS_XMPP_SERVER VISITORS_XMPP_PORT PROSODY_VISITOR_INDEX \
         PROSODY_VISITORS_MUC_PREFIX PROSODY_VISITORS_S2S_VHOSTS",
    ),
    entry(
        Missing,
        "of servers for viewers, which do not stand alone",
        "von Servern für Zuschauende, die nicht für sich stehen",
        "JICOFO_VISITORS_REQUIRE_MUC_CONFIG PROSODY_LIMIT_MESSAGES_CHECK_TOKEN",
    ),
    entry(
        Missing,
        "SIP rooms through recorders are not there yet",
        "SIP-Räume über Recorder gibt es noch nicht",
        "JIBRI_SIP_BREWERY_MUC",
    ),
    entry(
        Missing,
        "audio translation is not there yet",
        "Übersetzung von Sprache gibt es noch nicht",
        "JICOFO_TRANSLATION_URL_TEMPLATE JICOFO_TRANSLATION_CF_ACCESS_CLIENT_ID \
         JICOFO_TRANSLATION_CF_ACCESS_CLIENT_SECRET ENABLE_AUDIO_TRANSLATION",
    ),
    entry(
        Missing,
        "the autoscaler is not there yet",
        "den Autoscaler gibt es noch nicht",
        "AUTOSCALER_URL AUTOSCALER_SIDECAR_KEY_FILE AUTOSCALER_SIDECAR_KEY_ID AUTOSCALER_SIDECAR_PORT \
         AUTOSCALER_SIDECAR_REGION AUTOSCALER_SIDECAR_GROUP_NAME AUTOSCALER_SIDECAR_HOST_ID \
         AUTOSCALER_SIDECAR_INSTANCE_ID AUTOSCALER_SIDECAR_SHUTDOWN_POLLING_INTERVAL \
         AUTOSCALER_SIDECAR_STATS_POLLING_INTERVAL",
    ),
    entry(
        Later,
        "a detail of how recordings and transcripts are offered, which is not passed on yet",
        "eine Einzelheit, wie Aufzeichnung und Mitschrift angeboten werden; sie wird noch nicht weitergegeben",
        "ENABLE_FILE_RECORDING_SHARING \
         ENABLE_LIVESTREAMING_DATA_PRIVACY_LINK ENABLE_LIVESTREAMING_HELP_LINK ENABLE_LIVESTREAMING_TERMS_LINK \
         ENABLE_LIVESTREAMING_VALIDATOR_REGEXP_STRING DROPBOX_APPKEY DROPBOX_REDIRECT_URI AUTO_CAPTION_ON_RECORD \
         TRANSLATION_LANGUAGES TRANSLATION_LANGUAGES_HEAD USE_APP_LANGUAGE PREFERRED_LANGUAGE DISABLE_START_FOR_ALL",
    ),
    entry(
        Nothing,
        "upstream writes these where no client reads them",
        "das Original schreibt es dorthin, wo kein Client es liest",
        "VIDEOQUALITY_BITRATE_AV1_LOW VIDEOQUALITY_BITRATE_AV1_STANDARD VIDEOQUALITY_BITRATE_AV1_HIGH \
         VIDEOQUALITY_BITRATE_AV1_FULL VIDEOQUALITY_BITRATE_AV1_ULTRA VIDEOQUALITY_BITRATE_AV1_SS_HIGH \
         VIDEOQUALITY_BITRATE_H264_LOW VIDEOQUALITY_BITRATE_H264_STANDARD VIDEOQUALITY_BITRATE_H264_HIGH \
         VIDEOQUALITY_BITRATE_H264_FULL VIDEOQUALITY_BITRATE_H264_ULTRA VIDEOQUALITY_BITRATE_H264_SS_HIGH \
         VIDEOQUALITY_BITRATE_VP8_LOW VIDEOQUALITY_BITRATE_VP8_STANDARD VIDEOQUALITY_BITRATE_VP8_HIGH \
         VIDEOQUALITY_BITRATE_VP8_FULL VIDEOQUALITY_BITRATE_VP8_ULTRA VIDEOQUALITY_BITRATE_VP8_SS_HIGH \
         VIDEOQUALITY_BITRATE_VP9_LOW VIDEOQUALITY_BITRATE_VP9_STANDARD VIDEOQUALITY_BITRATE_VP9_HIGH \
         VIDEOQUALITY_BITRATE_VP9_FULL VIDEOQUALITY_BITRATE_VP9_ULTRA VIDEOQUALITY_BITRATE_VP9_SS_HIGH",
    ),
    entry(
        Nothing,
        "upstream does the opposite of what it says; config.localRecording.disableSelfRecording says it",
        "das Original tut das Gegenteil des Namens; config.localRecording.disableSelfRecording sagt es",
        "ENABLE_LOCAL_RECORDING_SELF_START",
    ),
    entry(
        Nothing,
        "requests are passed on to nothing; a web server in front does, with the _PUBLIC_URL set",
        "Anfragen werden an niemanden weitergereicht; das tut ein Webserver davor, mit gesetzter _PUBLIC_URL",
        "ETHERPAD_URL_BASE WHITEBOARD_COLLAB_SERVER_URL_BASE RTC_VISUALIZER_URL_BASE RTC_VISUALIZER_PATH",
    ),
    entry(
        Nothing,
        "visitors are told to nobody else; who wants that writes it into http.custom_config_js",
        "Dritte erfahren nichts von Besuchen; wer das will, schreibt es in http.custom_config_js",
        "ENABLE_CALENDAR GOOGLE_API_APP_CLIENT_ID MICROSOFT_API_APP_CLIENT_ID CHROME_EXTENSION_BANNER_JSON AMPLITUDE_ID \
         GOOGLE_ANALYTICS_ID MATOMO_ENDPOINT MATOMO_SITE_ID ANALYTICS_SCRIPT_URLS ANALYTICS_WHITELISTED_EVENTS \
         RTCSTATS_ENABLED RTCSTATS_URL_BASE RTCSTATS_POLL_INTERVAL RTCSTATS_SEND_SDP RTCSTATS_STORE_LOGS \
         ENABLE_JAAS_COMPONENTS JAAS_APP_ID JAAS_USE_STAGING",
    ),
    entry(
        Later,
        "read by Jibri and Jigasi alone, which stay as they are, and which nobody calls yet",
        "lesen nur Jibri und Jigasi, die bleiben, wie sie sind, und die noch niemand ruft",
        "JIBRI_INSTANCE_ID JIBRI_RECORDING_DIR JIBRI_FINALIZE_RECORDING_SCRIPT_PATH JIBRI_RECORDING_RESOLUTION \
         JIBRI_RECORDING_FRAMERATE JIBRI_RECORDING_QUEUE_SIZE JIBRI_RECORDING_CONSTANT_RATE_FACTOR \
         JIBRI_RECORDING_STREAMING_MAX_BITRATE JIBRI_RECORDING_VIDEO_ENCODE_PRESET_RECORDING \
         JIBRI_RECORDING_VIDEO_ENCODE_PRESET_STREAMING JIBRI_USAGE_TIMEOUT JIBRI_STRIP_DOMAIN_JID JIBRI_SINGLE_USE_MODE \
         JIBRI_HTTP_API_EXTERNAL_PORT JIBRI_HTTP_API_INTERNAL_PORT JIBRI_WEBHOOK_SUBSCRIBERS JIBRI_ENABLE_PROMETHEUS \
         JIBRI_STATSD_HOST JIBRI_STATSD_PORT JIBRI_XORG_HORIZ_SYNC JIBRI_XORG_VERT_REFRESH JIBRI_CHROMEDRIVER_DEBUG \
         JIBRI_CHROMEDRIVER_DEBUG_LOG JIBRI_VERSION JIGASI_MODE JIGASI_SIP_PASSWORD JIGASI_SIP_SERVER JIGASI_SIP_PORT \
         JIGASI_SIP_TRANSPORT JIGASI_SIP_DEFAULT_ROOM JIGASI_SIP_KEEP_ALIVE_METHOD JIGASI_ENABLE_SDES_SRTP \
         JIGASI_PORT_MIN JIGASI_PORT_MAX JIGASI_HEALTH_CHECK_SIP_URI JIGASI_HEALTH_CHECK_INTERVAL JIGASI_ENABLE_REST \
         JIGASI_JVB_TIMEOUT JIGASI_LOCAL_REGION JIGASI_STATS_ID JIGASI_LOG_FILE JIGASI_CONFIGURATION \
         JIGASI_TRUSTED_DOMAINS JIGASI_VISITORS_QUEUE_SERVICE_URL JIGASI_VISITORS_QUEUE_SERVICE_PRIVATE_KEY_PATH \
         JIGASI_VISITORS_QUEUE_SERVICE_PRIVATE_KEY_ID JIGASI_INSTANCE_ID JIGASI_STATS_PORT JIGASI_VERSION \
         JIGASI_TRANSCRIBER_ADVERTISE_URL JIGASI_TRANSCRIBER_RECORD_AUDIO JIGASI_TRANSCRIBER_SEND_TXT \
         JIGASI_TRANSCRIBER_ENABLE_SAVING JIGASI_TRANSCRIBER_ENABLE_TRANSLATION JIGASI_TRANSCRIBER_FILTER_SILENCE \
         JIGASI_TRANSCRIBER_CUSTOM_SERVICE JIGASI_TRANSCRIBER_CUSTOM_TRANSLATION_SERVICE \
         JIGASI_TRANSCRIBER_LIBRETRANSLATE_URL JIGASI_TRANSCRIBER_VOSK_URL JIGASI_TRANSCRIBER_WHISPER_URL \
         JIGASI_TRANSCRIBER_WHISPER_PRIVATE_KEY JIGASI_TRANSCRIBER_WHISPER_PRIVATE_KEY_NAME \
         JIGASI_TRANSCRIBER_REMOTE_CONFIG_URL JIGASI_TRANSCRIBER_REMOTE_CONFIG_URL_AUD \
         JIGASI_TRANSCRIBER_REMOTE_CONFIG_URL_KEY_ID JIGASI_TRANSCRIBER_REMOTE_CONFIG_URL_KEY_PATH \
         JIGASI_TRANSCRIBER_OCI_COMPARTMENT JIGASI_TRANSCRIBER_OCI_REGION",
    ),
    entry(
        Nothing,
        "read by Jibri, Jigasi, Etherpad or Grafana, which stay as they are",
        "lesen Jibri, Jigasi, Etherpad oder Grafana, die bleiben, wie sie sind",
        "ENABLE_STATS_D CHROMIUM_FLAGS IGNORE_CERTIFICATE_ERRORS DISPLAY USE_TRANSLATOR_IN_CONFERENCE BOSH_URL_PATTERN \
         GC_PROJECT_ID GC_PRIVATE_KEY_ID GC_PRIVATE_KEY GC_CLIENT_EMAIL GC_CLIENT_ID GC_CLIENT_CERT_URL ETHERPAD_TITLE \
         ETHERPAD_DEFAULT_PAD_TEXT ETHERPAD_SKIN_NAME ETHERPAD_SKIN_VARIANTS TITLE DEFAULT_PAD_TEXT SKIN_NAME \
         SKIN_VARIANTS SUPPRESS_ERRORS_IN_PAD_TEXT GF_ANALYTICS_REPORTING_ENABLED",
    ),
];
