// Command go_signer does the signer's job for open apps with Go's standard library, to compare the two.
//
// It answers GET /generate_signature?app_id=ID with the same bytes as the signer does with the same credential in the
// same second. Each response is signed separately. The credential is an ECS instance role's, fetched from the metadata
// service and refreshed before it expires. Each request is counted and logged to standard error.
//
// Usage: go_signer FD METADATA_URL BUCKET APP_ID...
//
// FD is the number of a listening socket.
package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	region       = "cn-hangzhou"
	lifetime     = 10 * time.Minute
	maxSizeBytes = 10 * 1024 * 1024
	refreshEvery = time.Hour
	flushEvery   = 10 * time.Millisecond
	algorithm    = "OSS4-HMAC-SHA256"
	metadataRole = "/latest/meta-data/ram/security-credentials/"
)

type credential struct {
	AccessKeyId     string
	AccessKeySecret string
	SecurityToken   string
	Expiration      time.Time
}

type signature struct {
	Host          string            `json:"host"`
	Version       string            `json:"x_oss_signature_version"`
	Credential    string            `json:"x_oss_credential"`
	Date          string            `json:"x_oss_date"`
	SecurityToken string            `json:"security_token"`
	ExpiresAt     string            `json:"expires_at"`
	Policy        string            `json:"policy"`
	Signature     string            `json:"signature"`
	KeyPrefix     string            `json:"key_prefix"`
	Fields        map[string]string `json:"fields"`
}

type server struct {
	buckets    map[string]string
	credential atomic.Value
	process    string
	requests   uint64
	logMutex   sync.Mutex
	log        *bufio.Writer
}

// See https://help.aliyun.com/zh/ecs/user-guide/view-instance-metadata
func fetchCredential(metadata string) (*credential, error) {
	read := func(method, path string, header http.Header) ([]byte, error) {
		request, err := http.NewRequest(method, metadata+path, nil)
		if err != nil {
			return nil, err
		}
		request.Header = header
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s %s: %s", method, path, response.Status)
		}
		return io.ReadAll(response.Body)
	}
	token, err := read("PUT", "/latest/api/token", http.Header{"X-Aliyun-Ecs-Metadata-Token-Ttl-Seconds": {"60"}})
	if err != nil {
		return nil, err
	}
	header := http.Header{"X-Aliyun-Ecs-Metadata-Token": {string(token)}}
	role, err := read("GET", metadataRole, header)
	if err != nil {
		return nil, err
	}
	text, err := read("GET", metadataRole+string(role), header)
	if err != nil {
		return nil, err
	}
	result := new(credential)
	return result, json.Unmarshal(text, result)
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func marshal(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), err
}

// See https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend
func sign(bucket string, credential *credential, now time.Time) ([]byte, error) {
	day, date := now.Format("20060102"), now.Format("20060102T150405Z")
	scope := credential.AccessKeyId + "/" + day + "/" + region + "/oss/aliyun_v4_request"
	prefix := now.Format("photos/2006/01/")
	expires := now.Add(lifetime)
	if credential.Expiration.Before(expires) {
		expires = credential.Expiration
	}
	policy, err := marshal(struct {
		Expiration string `json:"expiration"`
		Conditions []any  `json:"conditions"`
	}{
		expires.Format("2006-01-02T15:04:05.000Z"),
		[]any{
			map[string]string{"bucket": bucket},
			map[string]string{"x-oss-signature-version": algorithm},
			map[string]string{"x-oss-credential": scope},
			map[string]string{"x-oss-date": date},
			map[string]string{"x-oss-security-token": credential.SecurityToken},
			[]any{"content-length-range", 1, maxSizeBytes},
			[]any{"eq", "$x-oss-object-acl", "private"},
			[]any{"starts-with", "$key", prefix},
		},
	})
	if err != nil {
		return nil, err
	}
	encoded := base64.StdEncoding.EncodeToString(policy)
	key := []byte("aliyun_v4" + credential.AccessKeySecret)
	for _, part := range []string{day, region, "oss", "aliyun_v4_request"} {
		key = hmacSHA256(key, part)
	}
	return marshal(signature{
		Policy:        encoded,
		Version:       algorithm,
		Credential:    scope,
		Date:          date,
		Signature:     hex.EncodeToString(hmacSHA256(key, encoded)),
		SecurityToken: credential.SecurityToken,
		Host:          "https://" + bucket + ".oss-" + region + ".aliyuncs.com",
		KeyPrefix:     prefix,
		ExpiresAt:     expires.Format("2006-01-02T15:04:05Z"),
		Fields:        map[string]string{"x-oss-object-acl": "private"},
	})
}

func (s *server) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	started := time.Now()
	id := fmt.Sprintf("%s%012x", s.process, atomic.AddUint64(&s.requests, 1))
	app := request.URL.Query().Get("app_id")
	status := http.StatusOK
	bucket, isKnown := s.buckets[app]
	var body []byte
	if request.URL.Path == "/generate_signature" && isKnown {
		var err error
		if body, err = sign(bucket, s.credential.Load().(*credential), started.UTC().Truncate(time.Second)); err != nil {
			status = http.StatusInternalServerError
		}
	} else {
		status = http.StatusNotFound
	}
	header := writer.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Server", "oss-signer")
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Request-Id", id)
	header.Set("Vary", "Origin")
	writer.WriteHeader(status)
	writer.Write(body)
	address, _, _ := net.SplitHostPort(request.RemoteAddr)
	line, _ := json.Marshal(map[string]any{
		"time": started.UTC(), "level": "info", "message": "request", "request_id": id, "method": request.Method,
		"path": request.URL.Path, "app": app, "status": status, "address": address,
		"milliseconds": float64(time.Since(started).Microseconds()) / 1000,
	})
	s.logMutex.Lock()
	s.log.Write(append(line, '\n'))
	s.logMutex.Unlock()
}

func (s *server) flushLog() {
	for range time.Tick(flushEvery) {
		s.logMutex.Lock()
		s.log.Flush()
		s.logMutex.Unlock()
	}
}

func (s *server) refresh(metadata string) {
	for range time.Tick(refreshEvery) {
		if fetched, err := fetchCredential(metadata); err != nil {
			log.Print(err)
		} else {
			s.credential.Store(fetched)
		}
	}
}

func main() {
	fd, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	metadata, bucket := os.Args[2], os.Args[3]
	process := make([]byte, 10)
	if _, err := rand.Read(process); err != nil {
		log.Fatal(err)
	}
	s := &server{buckets: map[string]string{}, process: hex.EncodeToString(process), log: bufio.NewWriterSize(os.Stderr, 1<<16)}
	for _, app := range os.Args[4:] {
		s.buckets[app] = bucket
	}
	fetched, err := fetchCredential(metadata)
	if err != nil {
		log.Fatal(err)
	}
	s.credential.Store(fetched)
	go s.refresh(metadata)
	go s.flushLog()
	listener, err := net.FileListener(os.NewFile(uintptr(fd), "listener"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, s))
}
