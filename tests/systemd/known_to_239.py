"""The directives of systemd 239 in the sections that the units have.

From src/core/load-fragment-gperf.gperf.m4 of the systemd 239 that Red Hat Enterprise Linux 8 has, and after it Alibaba
Cloud Linux 3. LogRateLimitIntervalSec and RestrictSUIDSGID are there only because Red Hat took them over from later
releases, so they are left out.
"""

_EXEC = """
WorkingDirectory RootDirectory RootImage User Group SupplementaryGroups Nice OOMScoreAdjust IOSchedulingClass
IOSchedulingPriority CPUSchedulingPolicy CPUSchedulingPriority CPUSchedulingResetOnFork CPUAffinity UMask Environment
EnvironmentFile PassEnvironment UnsetEnvironment DynamicUser RemoveIPC StandardInput StandardOutput StandardError
StandardInputText StandardInputData TTYPath TTYReset TTYVHangup TTYVTDisallocate SyslogIdentifier SyslogFacility
SyslogLevel SyslogLevelPrefix LogLevelMax LogExtraFields SecureBits CapabilityBoundingSet AmbientCapabilities
TimerSlackNSec NoNewPrivileges KeyringMode SystemCallFilter SystemCallArchitectures SystemCallErrorNumber
MemoryDenyWriteExecute RestrictNamespaces RestrictRealtime RestrictAddressFamilies LockPersonality LimitCPU LimitFSIZE
LimitDATA LimitSTACK LimitCORE LimitRSS LimitNOFILE LimitAS LimitNPROC LimitMEMLOCK LimitLOCKS LimitSIGPENDING
LimitMSGQUEUE LimitNICE LimitRTPRIO LimitRTTIME ReadWritePaths ReadOnlyPaths InaccessiblePaths BindPaths
BindReadOnlyPaths TemporaryFileSystem PrivateTmp PrivateDevices ProtectKernelTunables ProtectKernelModules
ProtectControlGroups PrivateNetwork PrivateUsers PrivateMounts ProtectSystem ProtectHome MountFlags MountAPIVFS
Personality RuntimeDirectoryPreserve RuntimeDirectoryMode RuntimeDirectory StateDirectoryMode StateDirectory
CacheDirectoryMode CacheDirectory LogsDirectoryMode LogsDirectory ConfigurationDirectoryMode ConfigurationDirectory
PAMName IgnoreSIGPIPE UtmpIdentifier UtmpMode SELinuxContext AppArmorProfile SmackProcessLabel
SendSIGKILL SendSIGHUP KillMode KillSignal
Slice CPUAccounting CPUWeight StartupCPUWeight CPUQuota MemoryAccounting MemoryLow MemoryHigh MemoryMax MemorySwapMax
DeviceAllow DevicePolicy IOAccounting IOWeight TasksAccounting TasksMax Delegate IPAccounting IPAddressAllow
IPAddressDeny
"""

_UNIT = """
Description Documentation Requires Requisite Wants BindsTo Conflicts Before After OnFailure PropagatesReloadTo
ReloadPropagatedFrom PartOf JoinsNamespaceOf RequiresMountsFor StopWhenUnneeded RefuseManualStart
RefuseManualStop AllowIsolate DefaultDependencies OnFailureJobMode IgnoreOnIsolate JobTimeoutSec
JobRunningTimeoutSec JobTimeoutAction StartLimitIntervalSec StartLimitBurst StartLimitAction FailureAction
SuccessAction ConditionPathExists ConditionPathIsDirectory ConditionFileNotEmpty AssertPathExists CollectMode
"""

KNOWN = {
    "Unit": frozenset(_UNIT.split()),
    "Service": frozenset(
        f"""
        PIDFile ExecStartPre ExecStart ExecStartPost ExecReload ExecStop ExecStopPost RestartSec TimeoutSec
        TimeoutStartSec TimeoutStopSec RuntimeMaxSec WatchdogSec Type Restart PermissionsStartOnly
        RootDirectoryStartOnly RemainAfterExit GuessMainPID RestartPreventExitStatus RestartForceExitStatus
        SuccessExitStatus NonBlocking BusName FileDescriptorStoreMax NotifyAccess Sockets {_EXEC}
        """.split()
    ),
    "Socket": frozenset(
        f"""
        ListenStream ListenDatagram ListenSequentialPacket ListenFIFO SocketProtocol BindIPv6Only Backlog BindToDevice
        ExecStartPre ExecStartPost ExecStopPre ExecStopPost TimeoutSec SocketUser SocketGroup SocketMode DirectoryMode
        Accept Writable MaxConnections MaxConnectionsPerSource KeepAlive KeepAliveTimeSec KeepAliveIntervalSec
        KeepAliveProbes DeferAcceptSec NoDelay Priority ReceiveBuffer SendBuffer IPTOS IPTTL Mark FreeBind Transparent
        TCPCongestion ReusePort RemoveOnStop Symlinks FileDescriptorName Service TriggerLimitIntervalSec
        TriggerLimitBurst {_EXEC}
        """.split()
    ),
    "Install": frozenset(["Alias", "WantedBy", "RequiredBy", "Also", "DefaultInstance"]),
}
"""Directives by section."""
