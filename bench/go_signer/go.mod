module go_signer

go 1.19
