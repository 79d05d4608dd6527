[Plausch]
title=Plausch
description=Video meetings in the browser: web, certificates, audio and video
ports=80,443/tcp|3478,10000/udp
