// Rooms of a care home's tablets: whose name begins with `heim-` asks nothing and has three buttons.
(function () {
    var path = typeof location === 'undefined' ? '' : decodeURIComponent(location.pathname);
    if (!/^heim-/i.test(path.split('/').pop())) {
        return;
    }
    config.prejoinConfig = { enabled: false };
    config.requireDisplayName = false;
    config.disableProfile = true;
    config.toolbarButtons = [ 'microphone', 'camera', 'hangup' ];
    config.startWithAudioMuted = false;
    config.startWithVideoMuted = false;
})();
